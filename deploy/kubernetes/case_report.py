"""Test cases for scripts/count_tests.sh: writes what GoogleTest would write, to where Bazel wants it."""
import os
import unittest
from xml.sax.saxutils import quoteattr


class CaseReport(unittest.TextTestResult):
    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.passed = []

    def addSuccess(self, test):
        super().addSuccess(test)
        self.passed.append(test)

    def write(self, path):
        bad = self.failures + self.errors
        lines = [self._case(test, "completed", "") for test in self.passed]
        lines += [self._case(test, "completed", f"<failure message={quoteattr(why)}/>") for test, why in bad]
        lines += [self._case(test, "skipped", f"<skipped message={quoteattr(why)}></skipped>")
                  for test, why in self.skipped]
        counts = (f'tests="{len(lines)}" failures="{len(bad)}" errors="0" disabled="0" '
                  f'skipped="{len(self.skipped)}"')
        with open(path, "w", encoding="utf-8") as out:
            out.write(f'<testsuites {counts} name="AllTests">\n  <testsuite name="Manifests" {counts}>\n')
            out.writelines(lines)
            out.write("  </testsuite>\n</testsuites>\n")

    # <skipped> has a line of its own, as count_tests.sh reads lines.
    @staticmethod
    def _case(test, result, inside):
        name = test.id().rpartition(".")[2]
        body = f"\n      {inside}\n    " if inside else ""
        return (f'    <testcase name={quoteattr(name)} status="run" result="{result}" '
                f'classname={quoteattr(type(test).__name__)}>{body}</testcase>\n')


def main(cases):
    result = unittest.TextTestRunner(resultclass=CaseReport, verbosity=2, descriptions=False).run(cases)
    if path := os.environ.get("XML_OUTPUT_FILE"):
        result.write(path)
    return 0 if result.wasSuccessful() else 1
