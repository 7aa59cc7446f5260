#include "rpc/listening.h"

#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

namespace waferstream {
namespace {

namespace fs = std::filesystem;

// "socket:[INODE]" of every socket that the process has open.
std::set<std::string> SocketsOf(pid_t pid) {
  std::set<std::string> sockets;
  std::error_code error, ignored;  // the process may end meanwhile, and close what it has
  fs::directory_iterator entry(absl::StrCat("/proc/", pid, "/fd"), error), end;
  for (; !error && entry != end; entry.increment(error)) {
    const std::string target = fs::read_symlink(entry->path(), ignored).string();
    if (absl::StartsWith(target, "socket:")) sockets.insert(target);
  }
  return sockets;
}

}  // namespace

std::vector<std::string> ListeningAddresses(pid_t pid) {
  const std::set<std::string> mine = SocketsOf(pid);
  std::vector<std::string> found;
  for (const char* table : {"tcp", "tcp6"}) {
    std::ifstream file(absl::StrCat("/proc/", pid, "/net/", table));
    std::string line;
    std::getline(file, line);  // the heads of the columns
    while (std::getline(file, line)) {
      std::istringstream columns(line);
      std::string slot, local, remote, state, queues, timer, retransmits, uid, timeout, inode;
      columns >> slot >> local >> remote >> state >> queues >> timer >> retransmits >> uid >>
          timeout >> inode;
      const bool listens = state == "0A";
      if (listens && mine.contains(absl::StrCat("socket:[", inode, "]"))) {
        found.push_back(local.substr(0, local.find(':')));
      }
    }
  }
  return found;
}

bool IsLoopbackHex(const std::string& address) {
  // In the machine's (little-endian) order of each 32-bit word.
  const bool mapped = absl::StartsWith(address, "0000000000000000FFFF0000");
  if (address.size() == 8 || mapped) return absl::EndsWith(address, "7F");
  return address == "00000000000000000000000001000000";
}

}  // namespace waferstream
