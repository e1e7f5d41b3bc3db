// The passphrase of a key file, asked on the terminal without echo, or by the program that
// SSH_ASKPASS names.
#pragma once

#include <streamkit/crypto/key.hpp>

namespace streamkit::cli {

/// Asks for the passphrase of the file that `what` names. As OpenSSH does: SSH_ASKPASS is run where
/// there is no terminal, or always where SSH_ASKPASS_REQUIRE is "force". At most 1 KiB. A signal,
/// an end of input and a program that fails are Errc::cancelled; nobody to ask is
/// Errc::key_encrypted.
Result<SecretBytes> ask_passphrase(const std::string& what);

}  // namespace streamkit::cli
