// What carries the channels between two nodes: `--fabric`.
#pragma once

namespace waferstream {

enum class FabricKind {
  kAuto,  // memory that both share where they are processes of one user on one host, else TCP
  kTcp,   // TCP, whoever it is
  kShm,   // shared memory; a peer on another host is not reached
};

}  // namespace waferstream
