#include "http_front.hpp"

#include "http_visit.hpp"

#include <array>

namespace streamkit::tunnel {

HttpShared::HttpShared(io::Context& c, Router& r, HttpFrontOptions o, HttpFront::OnRequest hook)
    : context(c),
      router(r),
      options(std::move(o)),
      on_request(std::move(hook)),
      pool(c, {options.max_idle_upstreams, options.max_idle_upstreams_total,
               options.upstream_idle_timeout}),
      scratch(kLaneBytes) {}

HttpFront::HttpFront(io::Context& context, Router& router, HttpFrontOptions options,
                     OnRequest on_request)
    : shared_(std::make_unique<HttpShared>(context, router, std::move(options),
                                           std::move(on_request))) {}

HttpFront::~HttpFront() {
  shared_->listeners.clear();
  auto visits = std::move(shared_->visits);  // their destructors must not find a map half gone
  visits.clear();
}

Result<io::Address> HttpFront::listen(const io::Address& at) {
  auto listener = io::Listener::listen(
      shared_->context, at,
      [this](std::unique_ptr<io::Stream> visitor) { adopt(std::move(visitor)); });
  if (!listener) return listener.error();
  shared_->listeners.push_back(std::move(*listener));
  return shared_->listeners.back()->address();
}

void HttpFront::adopt(std::unique_ptr<io::Stream> visitor) {
  if (shared_->visits.size() >= shared_->options.max_visitors) {
    ByteQueue answer;
    write_page(page_for_crowd(), {}, answer);
    const std::array<ByteView, 1> pieces{answer.data()};
    (void)visitor->write_some(pieces);  // as much of it as fits at once
    (void)visitor->shutdown_write();
    return;
  }
  auto visit = std::make_shared<HttpVisit>(*shared_, std::move(visitor));
  shared_->visits.emplace(visit.get(), visit);
  visit->drive();
}

void HttpFront::drop_upstreams(std::string_view pool_key) {
  shared_->pool.drop(pool_key);
}

void HttpFront::drain() {
  shared_->draining = true;
  shared_->listeners.clear();
  std::vector<std::shared_ptr<HttpVisit>> visits;
  for (const auto& [key, visit] : shared_->visits) visits.push_back(visit);
  for (const auto& visit : visits) visit->drain();
}

std::size_t HttpFront::visitors() const noexcept {
  return shared_->visits.size();
}
std::size_t HttpFront::idle_upstreams() const noexcept {
  return shared_->pool.size();
}

}  // namespace streamkit::tunnel
