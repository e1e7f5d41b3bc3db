// HttpRoutes: the Router of the relay's HTTP front: from a Host to a tunnel, from a tunnel to a
// channel.
#pragma once

#include "http_front.hpp"
#include "registry.hpp"

#include <memory>
#include <string>

namespace streamkit::tunnel {

class HttpRoutes final : public Router {
 public:
  HttpRoutes(io::Context& context, std::shared_ptr<Registry> registry, std::string domain)
      : context_(context), registry_(std::move(registry)), domain_(std::move(domain)) {}

  static std::string pool_key(ClaimId claim) { return std::to_string(claim); }

  Result<Target> find(std::string_view host_without_port) override;
  std::unique_ptr<io::Connect> open(const Target& target, const io::Address& visitor,
                                    io::Connect::Done done) override;

 private:
  io::Context& context_;
  std::shared_ptr<Registry> registry_;
  std::string domain_;
};

}  // namespace streamkit::tunnel
