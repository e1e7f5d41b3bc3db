// What comes in clear, before any key: the identification line (RFC 4253 section 4.2), KEXINIT and
// its choice of algorithms (7.1), and the readers of every small message of the transport and of
// authentication. However the line is cut, it is read the same.
#include "messages.hpp"
#include "negotiate.hpp"
#include "numbers.hpp"
#include "version.hpp"

#include <fuzz/check.hpp>
#include <support/fixed_random.hpp>
#include <support/transport_pair.hpp>

using namespace streamkit;

namespace {

std::string read_in_pieces(ssh::Role role, ByteView in, std::size_t piece) {
  ssh::IdentReader reader(role);
  Bytes waiting;
  for (std::size_t at = 0; at < in.size(); at += piece) {
    append(waiting, in.subspan(at, std::min(piece, in.size() - at)));
    const auto step = reader.read(waiting);
    if (!step) return "refused";
    require(step->consumed <= waiting.size());
    waiting.erase(waiting.begin(), waiting.begin() + static_cast<std::ptrdiff_t>(step->consumed));
    if (step->ident) return *step->ident;
  }
  return "more";
}

void check_ident(ByteView in) {
  for (const ssh::Role role : {ssh::Role::client, ssh::Role::server}) {
    const std::string whole = read_in_pieces(role, in, in.size() + 1);
    require(whole == read_in_pieces(role, in, 1));
    if (whole == "refused" || whole == "more") continue;
    require(whole.starts_with("SSH-") && whole.size() + 1 <= ssh::kMaxIdent);
    for (const char c : whole) require(c >= ' ' && c <= '~');
  }
}

void check_kexinit(ByteView in) {
  static const ssh::Proposal ours =
      ssh::make_proposal(ssh::Role::server, testing::server_config()).value();
  const auto theirs = ssh::read_kexinit(in, ssh::Role::client);
  if (!theirs) return;
  require(in.size() <= ssh::kMaxKexInit);
  const auto again = ssh::read_kexinit(ssh::write_kexinit(*theirs, ssh::Role::client, true, {}),
                                       ssh::Role::client);
  require(again && again->kex == theirs->kex && again->strict == theirs->strict);
  const auto agreed = ssh::negotiate(*theirs, ours);
  if (!agreed) return;
  require(std::find(ours.kex.begin(), ours.kex.end(), agreed->kex) != ours.kex.end());
  require(agreed->kex != ssh::kExtInfoClient && agreed->kex != ssh::kStrictClient);
}

void check_messages(ByteView in) {
  if (const auto info = ssh::read_ext_info(in)) {
    require(info->size() <= ssh::kMaxExtensions);
    for (const auto& [name, value] : *info)
      require(!name.empty() && value.size() <= ssh::kMaxExtensionValue);
  }
  require(ssh::read_disconnect(in).description.size() <= ssh::kMaxDescription + 3);
  (void)ssh::read_kex_reply(in);
  (void)ssh::read_kex_init(in);
  (void)ssh::read_userauth_failure(in);
  (void)ssh::read_banner(in);
  (void)ssh::read_pk_ok(in);
  if (const auto asked = ssh::read_info_request(in)) {
    require(asked->prompts.size() <= ssh::kMaxPrompts);
    require(!in.empty() && asked->name.size() + asked->instruction.size() <= in.size());
    const auto again = ssh::read_info_request(ssh::write_info_request(*asked));
    require(again && again->prompts.size() == asked->prompts.size());
  }
  for (const std::size_t prompts : {std::size_t{0}, std::size_t{2}})
    if (const auto answers = ssh::read_info_response(in, prompts))
      require(answers->size() == prompts);
  if (const auto request = ssh::read_userauth_request(in)) {
    require(request->user.size() <= ssh::kMaxUserName);
    require(request->key.size() + request->signature.size() + request->password.size() <=
            in.size());
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const ByteView in = std::as_bytes(std::span(data, size));
  check_ident(in);
  check_kexinit(in);
  check_messages(in);
  return 0;
}
