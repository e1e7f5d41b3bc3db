// Two peers in one program: one binds and answers, the other knows its key, connects and asks.
#include <streamkit/streamkit.hpp>

#include <iostream>
#include <thread>

int main() {
  using namespace streamkit;
  PeerOptions as_server, as_client;
  as_server.name = "server", as_client.name = "client";
  as_server.trust.public_key = [](const std::string&, const crypto::PublicKey&) { return true; };  // let anyone in
  Peer server = Peer::make(as_server).value();
  as_client.trust.known_host_keys = {server.key().fingerprint()};
  Peer client = Peer::make(as_client).value();

  client.connect(server.bind("tcp://127.0.0.1:0").value()).value();
  std::jthread answering([&] {
    Channel channel = server.accept().value();
    const std::string name = to_string(channel.read_frame().value());
    channel.write_frame("Hello, " + name + "!").value();
    channel.close().value();
  });
  Channel channel = client.open("server", "greeting").value();
  channel.write_frame("world").value();
  std::cout << to_string(channel.read_frame().value()) << "\n";
}
