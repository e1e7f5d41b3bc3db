#!/usr/bin/env python3
"""Tests how ./run installs packages, with a pretended dpkg and apt-get that only write down what is asked.

usage: run_test.py ROOT
"""

import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest

ROOT = pathlib.Path(sys.argv.pop(1)).resolve()
TOOLS = "awk bash basename cat chmod cut dirname env grep head id nproc rm sed tee tr".split()


class EnsureTest(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp())
        self.bin = self.folder / "bin"
        self.bin.mkdir()
        for tool in TOOLS:
            self.bin.joinpath(tool).symlink_to(shutil.which(tool))
        self.log = self.folder / "log"
        self.log.touch()
        self.policy = self.folder / "policy"

    def tearDown(self):
        shutil.rmtree(self.folder, ignore_errors=True)

    def program(self, name, script):
        path = self.bin / name
        path.write_text(f"#!{shutil.which('bash')}\n{script}\n")
        path.chmod(0o755)

    def pretend_debian(self, missing=(), user=0, architecture="amd64"):
        absent = " ".join(missing)
        self.program("dpkg-query", f'for p in {absent or "none-at-all"}; do [[ ${{@: -1}} == "$p" ]] && exit 1; done\n'
                                   "echo -n installed")
        self.program("dpkg", f"echo {architecture}")
        self.program("apt-get", f'echo "apt-get $*" >>{self.log}')
        self.program("sudo", f'echo "sudo" >>{self.log}; exec "$@"')
        self.bin.joinpath("id").unlink()
        self.program("id", f"echo {user}")

    def run_ensure(self, group, **env):
        result = subprocess.run([str(ROOT / "run"), "ensure", group], env={"PATH": str(self.bin), "STREAMKIT_POLICY_FILE": str(self.policy), **env},
                                capture_output=True, text=True, check=False)
        return result.returncode, result.stdout + result.stderr, self.log.read_text()

    def test_calls_neither_apt_nor_sudo_when_nothing_is_missing(self):
        self.pretend_debian()
        for group in ("build", "test", "clang", "go", "bench", "interop", "ci"):
            self.assertEqual(self.run_ensure(group), (0, "", ""))

    def test_says_what_is_missing_and_why_and_installs_only_that(self):
        self.pretend_debian(missing=["libfmt-dev", "curl"])
        code, said, log = self.run_ensure("build")
        self.assertEqual(code, 0)
        self.assertIn("libfmt-dev: formatting", said)
        self.assertIn("curl: ", said)
        self.assertEqual(log.splitlines(), ["apt-get update -qq",
                                            "apt-get install -y -q --no-install-recommends curl libfmt-dev"])

    def test_uses_sudo_only_when_it_is_not_root(self):
        self.pretend_debian(missing=["curl"], user=1000)
        code, _, log = self.run_ensure("build")
        self.assertEqual(code, 0)
        self.assertEqual([line.split()[0] for line in log.splitlines()], ["sudo", "apt-get", "sudo", "apt-get"])

    def test_never_installs_when_told_not_to_and_exits_3(self):
        self.pretend_debian(missing=["libgtest-dev"])
        code, said, log = self.run_ensure("test", STREAMKIT_NO_INSTALL="1")
        self.assertEqual((code, log), (3, ""))
        self.assertIn("apt-get install --no-install-recommends libgtest-dev", said)
        self.assertEqual(self.run_ensure("build", STREAMKIT_NO_INSTALL="1")[0], 0)

    def test_installs_no_package_that_starts_a_daemon_for_demo_and_test(self):
        everything = [line.split("|")[0].split()[0] for line in (ROOT / "third_party/packages.txt").read_text().splitlines()
                      if "|" in line and not line.startswith("#")]
        self.pretend_debian(missing=everything)
        for group in ("build", "test", "clang"):
            self.assertNotIn("openssh-server", self.run_ensure(group)[2])
        self.assertIn("openssh-server", self.run_ensure("ci")[2])

    def test_leaves_out_what_this_architecture_does_not_have(self):
        self.pretend_debian(missing=["libipsec-mb-dev", "curl"])
        self.assertIn("curl libipsec-mb-dev", self.run_ensure("build")[2])
        self.log.write_text("")
        self.pretend_debian(missing=["libipsec-mb-dev", "curl"], architecture="arm64")
        code, said, log = self.run_ensure("build")
        self.assertEqual(code, 0)
        self.assertNotIn("ipsec", said + log)
        self.assertIn("curl", log)

    def test_what_would_start_a_daemon_is_forbidden_to_while_it_is_installed(self):
        self.pretend_debian(missing=["openssh-server", "curl"])
        self.program("apt-get", f'[[ -x {self.policy} ]] && echo forbidden >>{self.log} || echo allowed >>{self.log}')
        self.assertEqual(self.run_ensure("build")[2], "allowed\nallowed\n")
        self.log.write_text("")
        for package in ("openssh-server", "tinysshd"):
            self.pretend_debian(missing=[package])
            self.program("apt-get", f'[[ -x {self.policy} ]] && echo forbidden >>{self.log} || echo allowed >>{self.log}')
            self.log.write_text("")
            self.assertEqual(self.run_ensure("ci")[2], "allowed\nforbidden\n")  # update, install
            self.assertFalse(self.policy.exists())
        self.program("apt-get", "[[ $1 == update ]]")  # installing fails
        self.assertEqual(self.run_ensure("ci")[0], 3)
        self.assertFalse(self.policy.exists())
        self.policy.write_text("somebody else's")
        self.run_ensure("ci")
        self.assertEqual(self.policy.read_text(), "somebody else's")

    def test_on_another_system_it_prints_the_list_and_exits_3(self):
        code, said, _ = self.run_ensure("build")
        self.assertEqual(code, 3)
        self.assertIn("g++: the first compiler", said)
        self.assertEqual(self.run_ensure("build", STREAMKIT_ASSUME_INSTALLED="1")[0], 0)

    def test_wrong_use_exits_2(self):
        self.pretend_debian()
        self.assertEqual(self.run_ensure("nonsense")[0], 2)


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0]], verbosity=1)
