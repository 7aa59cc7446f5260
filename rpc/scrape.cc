#include "rpc/scrape.h"

#include <netdb.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <memory>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/fd.h"

namespace waferstream {
namespace {

Fd Dial(const std::string& address, uint16_t port) {
  addrinfo hints = {};
  hints.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV;
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  if (getaddrinfo(address.c_str(), absl::StrCat(port).c_str(), &hints, &found) != 0) return Fd();
  Fd peer(socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (connect(peer.get(), found->ai_addr, found->ai_addrlen) != 0) peer.Close();
  freeaddrinfo(found);
  return peer;
}

std::string ReadAll(int fd) {
  std::string text;
  char buffer[4096];
  for (ssize_t got; (got = read(fd, buffer, sizeof buffer)) > 0;) text.append(buffer, got);
  return text;
}

std::string RequestFor(const std::string& path) {
  return absl::StrCat("GET ", path, " HTTP/1.0\r\n\r\n");
}

std::string BodyOf(const std::string& answer) {
  if (!absl::StrContains(answer.substr(0, answer.find('\r')), " 200 ")) return answer;
  const size_t body = answer.find("\r\n\r\n");
  return body == std::string::npos ? "" : answer.substr(body + 4);
}

}  // namespace

std::string Scrape(const std::string& address, uint16_t port, const std::string& path) {
  const Fd peer = Dial(address, port);
  if (!peer.valid()) return "";
  const std::string request = RequestFor(path);
  if (write(peer.get(), request.data(), request.size()) < 0) return "";
  return BodyOf(ReadAll(peer.get()));
}

std::string ScrapeTls(const TlsIdentity& me, const std::string& address, uint16_t port) {
  const Fd peer = Dial(address, port);
  const std::unique_ptr<SSL, void (*)(SSL*)> tls(SSL_new(me.Context().get()), SSL_free);
  SSL_set_fd(tls.get(), peer.get());
  if (SSL_connect(tls.get()) != 1) return "";
  const std::string request = RequestFor("/metrics");
  if (SSL_write(tls.get(), request.data(), static_cast<int>(request.size())) <= 0) return "";
  std::string answer;
  char buffer[4096];
  for (int got; (got = SSL_read(tls.get(), buffer, sizeof buffer)) > 0;) answer.append(buffer, got);
  return BodyOf(answer);
}

std::optional<std::string> PromtoolSays(const std::string& metrics) {
  if (std::system("command -v promtool >/dev/null 2>&1") != 0) return std::nullopt;
  char path[] = "/tmp/metrics.XXXXXX";
  const Fd file(mkstemp(path));
  std::ofstream(path) << metrics;
  const std::string command = absl::StrCat("promtool check metrics <", path, " 2>&1");
  FILE* const tool = popen(command.c_str(), "r");
  std::string said = ReadAll(fileno(tool));
  const int status = pclose(tool);
  if (status != 0) absl::StrAppend(&said, "exit code ", WEXITSTATUS(status));
  unlink(path);
  return said;
}

std::optional<double> SampleOf(const std::string& metrics, const std::string& name) {
  for (const absl::string_view line : absl::StrSplit(metrics, '\n')) {
    double value = 0;
    if (!absl::StartsWith(line, name + " ")) continue;
    if (absl::SimpleAtod(line.substr(name.size() + 1), &value)) return value;
  }
  return std::nullopt;
}

}  // namespace waferstream
