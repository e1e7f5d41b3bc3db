// HttpRoutes: NAME.DOMAIN leads to the tunnel that holds NAME now. A pool key is one claim, so that
// a connection of a client that was superseded never serves the next one's visitors.
#include "http_routes.hpp"

#include <streamkit/base/text.hpp>
#include <streamkit/peer/channel.hpp>

#include <charconv>
#include <fmt/format.h>

namespace streamkit::tunnel {
namespace {

// The completion may come after the front gave up: then the channel goes, and with it the visitor's
// connection at the client.
class ChannelConnect final : public io::Connect {
 public:
  struct Shared {
    io::Connect::Done done;
  };
  explicit ChannelConnect(std::shared_ptr<Shared> shared) : shared_(std::move(shared)) {}
  ~ChannelConnect() override { shared_->done = {}; }
  ChannelConnect(const ChannelConnect&) = delete;
  ChannelConnect& operator=(const ChannelConnect&) = delete;

 private:
  std::shared_ptr<Shared> shared_;
};

}  // namespace

Result<Target> HttpRoutes::find(std::string_view host_without_port) {
  const auto label = label_of_host(host_without_port, domain_);
  if (!label || label->empty()) {
    return Error(Errc::no_such_service, fmt::format("tunnels are NAME.{}; \"{}\" is not one",
                                                    domain_, escape(host_without_port, 128)));
  }
  Registry::Found found = registry_->find_http(*label);
  if (found.presence == Registry::Presence::none) {
    return Error(Errc::no_such_service,
                 fmt::format("no tunnel is called \"{}\"", escape(*label, 64)));
  }
  if (found.presence == Registry::Presence::lingering) {
    return Error(Errc::peer_not_connected,
                 fmt::format("the tunnel \"{}\" has lost its link; it is expected back",
                             escape(*label, 64)));
  }
  Target target;
  target.pool_key = pool_key(found.claim);
  target.host_header = std::move(found.host_header);
  target.description = std::move(found.target);
  return target;
}

std::unique_ptr<io::Connect> HttpRoutes::open(const Target& target, const io::Address& visitor,
                                              io::Connect::Done done) {
  const auto shared = std::make_shared<ChannelConnect::Shared>();
  shared->done = std::move(done);
  ClaimId claim = 0;
  std::from_chars(target.pool_key.data(), target.pool_key.data() + target.pool_key.size(), claim);
  registry_->open(claim, visitor, [shared](Result<Channel> channel) {
    if (!shared->done) return;
    auto tell = std::exchange(shared->done, {});
    if (!channel) return tell(channel.error());
    tell(Channel::into_stream(std::move(*channel)));
  });
  return std::make_unique<ChannelConnect>(shared);
}

}  // namespace streamkit::tunnel
