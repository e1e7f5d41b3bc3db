// The everyday API in one include.
#pragma once

#include <streamkit/peer/channel.hpp>
#include <streamkit/peer/endpoint.hpp>
#include <streamkit/peer/options.hpp>
#include <streamkit/peer/peer.hpp>
#include <streamkit/peer/trust.hpp>
