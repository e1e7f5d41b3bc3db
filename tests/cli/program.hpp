// The built program, in a world of its own: a configuration folder that nothing else uses.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <support/plain_socket.hpp>
#include <support/process.hpp>
#include <vector>

namespace streamkit::cli {

using namespace std::chrono_literals;
using streamkit::testing::http_get;
using streamkit::testing::Origin;
using streamkit::testing::PlainServer;
using streamkit::testing::PlainSocket;
using streamkit::testing::Process;
using streamkit::testing::Scratch;
using Json = nlohmann::json;

class ProgramTest : public ::testing::Test {
 protected:
  std::unique_ptr<Process> run(std::vector<std::string> words,
                               const std::string& config = "config") const {
    words.insert(words.begin(), STREAMKIT_PROGRAM);
    return std::make_unique<Process>(
        std::move(words), std::vector<std::string>{"XDG_CONFIG_HOME=" + (folder_ / config),
                                                   "HOME=" + folder_.path()});
  }
  /// A relay with --json that is ready.
  std::unique_ptr<Process> start_relay(std::vector<std::string> more = {}) {
    std::vector<std::string> words = {"relay", "--json", "--listen", relay_at_, "--http", http_at_};
    words.insert(words.end(), more.begin(), more.end());
    auto relay = run(words);
    const Json ready = event(*relay, 0);
    if (ready.is_object() && ready.value("event", "") == "ready") {
      relay_at_ = ready["listen"][0];
      http_at_ = ready["http"];
      relay_key_ = ready["relay_key"];
    } else {
      ADD_FAILURE() << "no relay: " << relay->output() << relay->errors();
    }
    return relay;
  }
  static Json event(Process& program, std::size_t number) {
    const auto line = program.line(number);
    return line ? Json::parse(*line, nullptr, false) : Json();
  }
  static std::uint16_t port_of(const std::string& address) {
    return static_cast<std::uint16_t>(std::stoi(address.substr(address.rfind(':') + 1)));
  }
  std::uint16_t http_port() const { return port_of(http_at_); }
  std::string url_of(const std::string& name) const {
    return "http://" + name + ".localhost:" + std::to_string(http_port());
  }

  Scratch folder_;
  std::string relay_at_ = "127.0.0.1:0", http_at_ = "127.0.0.1:0", relay_key_;
};

}  // namespace streamkit::cli
