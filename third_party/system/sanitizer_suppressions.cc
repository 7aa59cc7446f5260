// What the sanitizers find in libraries that are only linked, for tests built with --config=asan or
// --config=tsan. The names are the sanitizers' own.

// c-ares, inside gRPC, keeps what it read of the host's name servers until the end.
// NOLINTNEXTLINE(bugprone-reserved-identifier)
extern "C" const char* __lsan_default_suppressions() { return "leak:libcares\n"; }
