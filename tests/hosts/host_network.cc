#include "tests/hosts/host_network.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>

#include "absl/strings/str_cat.h"
#include "base/errno_status.h"
#include "base/host_port.h"
#include "base/json.h"
#include "base/status.h"
#include "client/test_wait.h"
#include "fabric/test_network.h"
#include "tests/hosts/tool.h"

namespace waferstream {
namespace {

constexpr const char* kDomain = "waferstream.test";
constexpr const char* kBridgeIpv4 = "10.77.0.1";
constexpr int kFirst = 10;  // the last part of the first host's addresses
// A bucket of tbf must hold a packet as the kernel sends it; larger ones it cuts itself.
constexpr const char* kBucket = "burst 32kb latency 100ms";

absl::Status Run(const std::string& command) { return RunTool(command).status(); }

absl::Status Limit(const std::string& device, double mbit_per_s,
                   const std::function<void()>& where) {
  return RunTool(absl::StrCat("tc qdisc add dev ", device, " root tbf rate ",
                              static_cast<int64_t>(mbit_per_s * 1000), "kbit ", kBucket),
                 where)
      .status();
}

std::string BridgeEnd(int host) { return absl::StrCat("to-h", host); }

Fd OwnNetwork() { return Fd(open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC)); }

// Asks the DNS server at the bridge, and nobody else. The file is gone once it is mounted.
absl::Status UseOwnDns() {
  std::string path = "/tmp/waferstream-resolv-XXXXXX";
  const Fd file(mkostemp(path.data(), O_CLOEXEC));
  const std::string text = absl::StrCat("nameserver ", kBridgeIpv4, "\n");
  const bool written = write(file.get(), text.data(), text.size()) > 0 &&
                       fchmod(file.get(), 0644) == 0 &&
                       mount(path.c_str(), "/etc/resolv.conf", nullptr, MS_BIND, nullptr) == 0;
  const absl::Status status = written ? absl::OkStatus() : ErrnoStatus(errno, "/etc/resolv.conf");
  unlink(path.c_str());
  return status;
}

// A network and mounts of its own, which end with it.
absl::Status LeaveHost() {
  const absl::Status root = EnterOwnNetworkAsRoot();
  if (!root.ok()) return absl::UnavailableError(root.message());
  if (unshare(CLONE_NEWNET | CLONE_NEWNS) != 0) return ErrnoStatus(errno, "unshare");
  if (mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0)
    return ErrnoStatus(errno, "/");
  RETURN_IF_ERROR(Run("ip link set lo up"));
  RETURN_IF_ERROR(Run("ip link add hosts type bridge"));
  RETURN_IF_ERROR(Run(absl::StrCat("ip address add ", kBridgeIpv4, "/24 dev hosts")));
  RETURN_IF_ERROR(Run("ip address add fd77::1/64 dev hosts nodad"));
  return Run("ip link set hosts up");
}

}  // namespace

std::string HostNetwork::NameOf(int host) { return absl::StrCat("h", host, ".", kDomain); }
std::string HostNetwork::Ipv4Of(int host) { return absl::StrCat("10.77.0.", kFirst + host); }
std::string HostNetwork::Ipv6Of(int host) { return absl::StrCat("fd77::", kFirst + host); }

absl::StatusOr<std::unique_ptr<HostNetwork>> HostNetwork::Make(int hosts, double mbit_per_s) {
  RETURN_IF_ERROR(LeaveHost());
  std::unique_ptr<HostNetwork> network(new HostNetwork);
  for (int i = 0; i < hosts; ++i) RETURN_IF_ERROR(network->AddHost(mbit_per_s));
  RETURN_IF_ERROR(network->StartDns());
  return network;
}

HostNetwork::~HostNetwork() {
  umount2("/etc/resolv.conf", MNT_DETACH);  // where it was mounted; the process may make another
  if (dns_ < 0) return;
  kill(dns_, SIGKILL);
  waitpid(dns_, nullptr, 0);
}

std::function<void()> HostNetwork::On(int host) const {
  return [network = hosts_[host].get()] {
    if (setns(network, CLONE_NEWNET) != 0) _exit(kNoSuchTool);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
  };
}

absl::Status HostNetwork::AddHost(double mbit_per_s) {
  const int host = static_cast<int>(hosts_.size());
  const Fd home = OwnNetwork();
  if (unshare(CLONE_NEWNET) != 0) return ErrnoStatus(errno, "unshare");
  hosts_.push_back(OwnNetwork());
  if (setns(home.get(), CLONE_NEWNET) != 0) return ErrnoStatus(errno, "setns");
  const std::string near = BridgeEnd(host);
  RETURN_IF_ERROR(Run(absl::StrCat("ip link add ", near, " type veth peer name eth0 netns /proc/",
                                   getpid(), "/fd/", hosts_[host].get())));
  RETURN_IF_ERROR(Run(absl::StrCat("ip link set ", near, " master hosts up")));
  RETURN_IF_ERROR(Limit(near, mbit_per_s, {}));
  for (const std::string& command :
       {std::string("ip link set lo up"),
        absl::StrCat("ip address add ", Ipv4Of(host), "/24 dev eth0"),
        absl::StrCat("ip address add ", Ipv6Of(host), "/64 dev eth0 nodad"),
        std::string("ip link set eth0 up")}) {
    RETURN_IF_ERROR(RunTool(command, On(host)).status());
  }
  return Limit("eth0", mbit_per_s, On(host));
}

// Everything in its domain it knows, and that nothing else is there.
absl::Status HostNetwork::StartDns() {
  RETURN_IF_ERROR(UseOwnDns());
  RETURN_IF_ERROR(Run("dnsmasq --version"));
  // no-daemon: nor does it become another user, who may not exist here.
  std::string command = absl::StrCat(
      "dnsmasq --no-daemon --conf-file=/dev/null --no-hosts --no-resolv "
      "--bind-interfaces --listen-address=",
      kBridgeIpv4, " --local=/", kDomain, "/");
  for (int i = 0; i < static_cast<int>(hosts_.size()); ++i) {
    absl::StrAppend(&command, " --host-record=", NameOf(i), ",", Ipv4Of(i), ",", Ipv6Of(i));
  }
  dns_ = fork();
  if (dns_ == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    BecomeTool(command);
  }
  if (dns_ < 0) return ErrnoStatus(errno, "fork");
  const bool answers = WaitFor([] { return ResolveHost(NameOf(0)).ok(); });
  return answers ? absl::OkStatus() : absl::InternalError("the DNS server does not answer");
}

absl::Status HostNetwork::Cut(int host) {
  return Run(absl::StrCat("ip link set ", BridgeEnd(host), " down"));
}

absl::Status HostNetwork::Mend(int host) {
  return Run(absl::StrCat("ip link set ", BridgeEnd(host), " up"));
}

absl::StatusOr<LinkBytes> HostNetwork::BytesOf(int host) const {
  ASSIGN_OR_RETURN(const std::string text,
                   RunTool(absl::StrCat("ip -j -s link show dev ", BridgeEnd(host))));
  const nlohmann::json link = nlohmann::json::parse(text, nullptr, false);
  if (link.is_discarded()) return absl::InternalError(text);
  const nlohmann::json& counted = link.at(0).at("stats64");  // as the bridge sees it
  return LinkBytes{.sent = counted["rx"]["bytes"], .received = counted["tx"]["bytes"]};
}

}  // namespace waferstream
