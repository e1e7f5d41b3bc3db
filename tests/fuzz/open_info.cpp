// The metadata of channel@streamkit and of the ancestor's @duplex: what decodes is what would be
// encoded, or it is an error.
#include <streamkit/channel/duplex.hpp>

#include <fuzz/check.hpp>

using namespace streamkit;
using namespace streamkit::channel;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const ByteView in = std::as_bytes(std::span(data, size));
  if (const Result<OpenInfo> info = OpenInfo::decode(in)) {
    require(is_valid_service_name(info->service));
    require(info->first.size() <= kMaxFirst);
    require(info->headers.wire_size() <= kMaxHeaderBytes);
    const Result<Bytes> again = info->encode();
    require(again && *again == to_bytes(in));
  }
  if (const Result<OpenInfo> info = duplex::decode_open(in)) {
    require(is_valid_service_name(info->service));
    require(info->headers.wire_size() <= kMaxHeaderBytes);
    const Result<Bytes> again = duplex::encode_open(*info);
    require(again && again->size() == size);
    const Result<OpenInfo> back =
        duplex::decode_open(*again);  // a flag is 1 then, an unused number 0
    require(back && back->headers == info->headers && back->parent == info->parent);
  }
  if (const Result<Headers> headers = duplex::decode_list(in)) {
    require(headers->wire_size() <= kMaxHeaderBytes);
    const Result<Bytes> again = duplex::encode_list(*headers);
    require(again && *again == to_bytes(in));
  }
  if (const Result<std::string> name = duplex::decode_greeting(in))
    require(duplex::encode_greeting(*name) == to_bytes(in));
  if (const Result<Hello> hello = Hello::decode(in)) {
    require(hello->instance_id.size() == 16);
    require(hello->encode().size() <= size);
  }
  if (const Result<Status> status = decode_status(in)) {
    const Result<Status> again = decode_status(encode_status(*status));
    require(again && *again == *status);
  }
  return 0;
}
