// nginx as a plain reverse proxy with keep-alive to the application, which is another nginx; wrk is
// the load.
#include "programs.hpp"

namespace streamkit::rivals {
namespace {

Figure through_proxy(const Task& task) {
  const Scratch folder;
  const WebApplication application(folder);
  const WebProxy proxy(folder, application.port());
  return load_web(task, folder, proxy.port());
}

}  // namespace
}  // namespace streamkit::rivals

int main(int argc, char** argv) {
  using namespace streamkit::rivals;
  return runner_main(argc, argv, "nginx",
                     {{"http-1k-keepalive", "proxy", "req/s", through_proxy},
                      {"http-1k-new", "proxy", "req/s", through_proxy},
                      {"http-1m-keepalive", "proxy", "req/s", through_proxy}});
}
