// What those who are here may do: the options of the line that let a key in, its certificate, and
// the rules of PeerOptions::policy. Who may be here at all is decided in peer_trust.cpp.
#include "channel_state.hpp"
#include "peer_impl.hpp"
#include "trust_file.hpp"

#include <streamkit/base/text.hpp>

#include <algorithm>
#include <charconv>

namespace streamkit {
namespace {

bool is_forward(const OpenRequest& request) {
  return request.type == "direct-tcpip" || request.type == "direct-streamlocal@openssh.com";
}

bool takes(std::string_view patterns, std::string_view text) {
  trust_file::PatternList list(text);
  trust_file::for_each_pattern(patterns, [&](std::string_view pattern) { list.meet(pattern); });
  return list.takes();
}

bool fits(const ServiceRule& rule, const OpenRequest& request) {
  const PeerInfo& from = request.from;
  if (!takes(rule.services, request.service)) return false;
  if (!rule.names.empty() && !takes(rule.names, from.name)) return false;
  if (!rule.key.empty() && (from.key.is_empty() || from.key.fingerprint() != rule.key))
    return false;
  if (rule.principals.empty()) return true;
  if (!from.certificate) return false;
  const auto& has = from.certificate->principals();
  return std::any_of(has.begin(), has.end(), [&](const std::string& principal) {
    return takes(rule.principals, principal);
  });
}

Result<void> check_patterns(std::string_view what, std::string_view patterns) {
  bool good = true;
  if (!patterns.empty())
    trust_file::for_each_pattern(patterns,
                                 [&](std::string_view one) { good &= !one.empty() && one != "!"; });
  return good ? Result<void>()
              : Error(Errc::usage, "a rule's " + std::string(what) + " have an empty pattern");
}

Result<void> check_open(const AuthorizedKeys::Entry& grant, const OpenRequest& request) {
  if (!AuthorizedKeys::allows_service(grant, request.service))
    return Error(Errc::refused,
                 "this key may not open the service '" + escape(request.service, 255) + "'");
  if (!is_forward(request)) return {};
  const bool is_tcp = request.type == "direct-tcpip";
  const std::string port(request.headers.get_or("port", ""));  // as Connection wrote it
  std::uint32_t number = 0;
  std::from_chars(port.data(), port.data() + port.size(), number);
  const bool allowed = is_tcp ? AuthorizedKeys::allows_open(grant, request.service, number)
                              : grant.port_forwarding && grant.permit_open.empty();
  if (allowed) return {};
  return Error(Errc::refused, "this key may not forward to '" + escape(request.service, 255) + "'" +
                                  (is_tcp ? " port " + port : ""));
}

}  // namespace

Result<void> Peer::Impl::check_policy(const PeerOptions& options) {
  if (options.policy.size() > kMaxServiceRules)
    return Error(Errc::usage,
                 "a policy has at most " + std::to_string(kMaxServiceRules) + " rules");
  for (const ServiceRule& rule : options.policy) {
    if (rule.services.empty())
      return Error(Errc::usage, "a rule is about no services; \"*\" is about all");
    if (Result<void> r = check_patterns("services", rule.services); !r) return r;
    if (Result<void> r = check_patterns("names", rule.names); !r) return r;
    if (Result<void> r = check_patterns("principals", rule.principals); !r) return r;
    if (!rule.key.empty() && !rule.key.starts_with("SHA256:"))
      return Error(Errc::usage, "a rule's key is a fingerprint, SHA256:...");
  }
  return {};
}

Result<void> Peer::Impl::authorize(Connection& connection, const OpenRequest& request) {
  if (is_shut) return Errc::shutting_down;
  if (!connection.settings().outgoing) {
    if (const auto& certificate = request.from.certificate) {
      if (const auto* only = certificate->critical_option("force-command");
          only && only->text() != request.service)
        return Error(Errc::refused, certificate->description() + " is for the service '" +
                                        escape(only->text().value_or(""), 255) + "' only");
      if (is_forward(request) && !certificate->has_extension("permit-port-forwarding"))
        return Error(Errc::refused, certificate->description() + " does not permit forwarding");
    }
    if (const auto& grant = connection.grant())
      if (Result<void> allowed = check_open(*grant, request); !allowed) return allowed;
  }
  if (Result<void> allowed = obey_policy(connection, request); !allowed) return allowed;
  return options.authorize ? options.authorize(request) : Result<void>();
}

Result<void> Peer::Impl::obey_policy(const Connection& connection,
                                     const OpenRequest& request) const {
  if (options.policy.empty()) return {};
  const auto& rules = options.policy;
  const auto rule = std::find_if(rules.begin(), rules.end(),
                                 [&](const ServiceRule& r) { return fits(r, request); });
  if (rule == rules.end() || !rule->allow)
    return Error(Errc::refused, "'" + escape(request.from.name, 64) +
                                    "' may not open the service '" + escape(request.service, 255) +
                                    "'");
  if (rule->max_channels == 0) return {};
  // A session is a channel before it says what it wants, and counts itself.
  const std::size_t others = connection.count_incoming([&](std::string_view service) {
    return takes(rule->services, service);
  }) - (request.type == "session" ? 1 : 0);
  if (others < rule->max_channels) return {};
  return Error(Errc::limit, "'" + escape(request.from.name, 64) + "' may have " +
                                std::to_string(rule->max_channels) +
                                " channels to such services at once; close one first");
}

Result<void> Peer::Impl::may_forward(const Connection& connection,
                                     const ForwardRequest& request) const {
  if (connection.settings().outgoing) return {};
  if (const auto& certificate = connection.info().certificate)
    if (certificate->critical_option("force-command") ||
        !certificate->has_extension("permit-port-forwarding"))
      return Error(Errc::refused, certificate->description() + " does not permit forwarding");
  const auto& grant = connection.grant();
  if (!grant) return {};
  const bool allowed =
      request.is_path
          ? grant->port_forwarding && grant->command.empty() && grant->permit_listen.empty()
          : AuthorizedKeys::allows_listen(*grant, request.bind, request.port);
  if (allowed) return {};
  return Error(Errc::refused, "this key may not have '" + escape(request.bind, 255) + "'" +
                                  (request.is_path ? "" : " port " + std::to_string(request.port)) +
                                  " forwarded to it");
}

Result<std::uint32_t> Peer::Impl::forward(Connection& connection, const ForwardRequest& request) {
  if (!on_forward || is_shut) return Errc::refused;
  // Giving back is always allowed.
  if (!request.cancel)
    if (Result<void> allowed = may_forward(connection, request); !allowed) return allowed.error();
  return on_forward(request);
}

Result<void> Peer::may_forward(const ForwardRequest& request) const {
  const io::Context::Lock lock(*impl_->context);
  const std::shared_ptr<Connection> link = impl_->find_link(request.from.link);
  if (!link) return Errc::peer_not_connected;
  return impl_->may_forward(*link, request);
}

}  // namespace streamkit
