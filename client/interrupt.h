// Ctrl-C and its relatives, as a count that loops look at.
#pragma once

namespace waferstream {

// While one exists, SIGINT, SIGTERM and SIGHUP are counted instead of ending the process; one that
// was ignored (`nohup`, `&` in a script) stays ignored. At most one counter at a time; the handlers
// of before come back with its end.
class InterruptCounter {
 public:
  InterruptCounter();
  ~InterruptCounter();
  InterruptCounter(const InterruptCounter&) = delete;
  InterruptCounter& operator=(const InterruptCounter&) = delete;

  // How many came. 1: finish tidily; 2 or more: the user does not want to wait for that.
  int count() const;
};

}  // namespace waferstream
