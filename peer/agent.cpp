#include "agent.hpp"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <utility>

namespace streamkit {
namespace {

constexpr std::size_t kReadSize = 16 * 1024;

}  // namespace

Result<std::string> Agent::path_of(const std::string& option) {
  if (option != "SSH_AUTH_SOCK") return option;
  const char* path = std::getenv("SSH_AUTH_SOCK");
  if (path && *path) return std::string(path);
  return Error(Errc::usage, "there is no ssh-agent: SSH_AUTH_SOCK is not set");
}

void Agent::start(const ssh::HostKeyReceived& session, Keys done) {
  keys_ = std::move(done);
  start_timer();
  io::Address address;
  address.kind = io::Address::Kind::unix_path;
  address.path = path_;
  connect_ = io::Connect::start(
      context_, address, after(io::now(), kAgentPatience),
      [this, bind = write_agent_bind(session)](Result<std::unique_ptr<io::Stream>> stream) mutable {
        const std::unique_ptr<io::Connect> connected = std::move(connect_);
        if (!stream) return std::exchange(keys_, {})(stream.error());
        stream_ = std::move(*stream);
        // An agent that does not know this says so, and all is as before there was it.
        ask(std::move(bind), [this](const Result<Bytes>& answer) {
          if (!answer) return std::exchange(keys_, {})(answer.error());
          list();
        });
      });
}

void Agent::list() {
  ask(write_agent_list(), [this](Result<Bytes> answer) {
    timer_.cancel();
    Keys done = std::exchange(keys_, {});
    answer ? done(read_agent_keys(*answer)) : done(answer.error());
  });
}

void Agent::sign(const ssh::SignatureNeeded& needed, Signature done) {
  start_timer();
  ask(write_agent_sign(needed), [this, done = std::move(done)](Result<Bytes> answer) mutable {
    timer_.cancel();
    answer ? done(read_agent_signature(*answer)) : done(answer.error());
  });
}

void Agent::start_timer() {
  timer_.start(after(io::now(), kAgentPatience), [this] {
    const Error late(Errc::timeout, "the ssh-agent does not answer");
    if (answer_) return give(late);
    connect_.reset();
    if (keys_) std::exchange(keys_, {})(late);
  });
}

void Agent::close() {
  timer_.cancel();
  connect_.reset();
  answer_ = {};
  keys_ = {};
  if (!stream_) return;
  stream_->close();
  context_.keep(std::exchange(stream_, nullptr));  // it may be what calls us
}

void Agent::ask(Bytes request, Answer done) {
  answer_ = std::move(done);
  if (!stream_) return give(Error(Errc::closed, "the ssh-agent has gone"));
  request_ = std::move(request);
  written_ = 0;
  received_.clear();
  write();
}

void Agent::write() {
  while (written_ < request_.size()) {
    const std::array<ByteView, 1> rest = {ByteView(request_).subspan(written_)};
    const Result<std::size_t> sent = stream_->write_some(rest);
    if (!sent && sent.error().is(Errc::would_block))
      return stream_->wait_writable([this] { write(); });
    if (!sent) return give(sent.error());
    written_ += *sent;
  }
  stream_->wait_readable([this] { read(); });
}

// Room is made for what comes, never for what is announced.
void Agent::read() {
  std::array<std::byte, kReadSize> room;
  const Result<std::size_t> got = stream_->read_some(room);
  if (!got && got.error().is(Errc::would_block)) return stream_->wait_readable([this] { read(); });
  if (!got)
    return give(got.error().is(Errc::eof) ? Error(Errc::connection_lost, "the ssh-agent hung up")
                                          : got.error());
  append(received_, ByteView(room).first(*got));
  const Result<std::optional<ByteView>> answer = find_agent_answer(received_);
  if (!answer) return give(answer.error());
  if (!*answer) return stream_->wait_readable([this] { read(); });
  give(to_bytes(**answer));
}

void Agent::give(Result<Bytes> answer) {
  Answer done = std::exchange(answer_, {});
  if (!answer && stream_) {
    stream_->close();
    context_.keep(std::exchange(stream_, nullptr));  // it may be what calls us
  }
  done(std::move(answer));
}

}  // namespace streamkit
