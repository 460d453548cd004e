/**
 * Scripts that call a flock(1), and what comes of them.
 *
 * In a script, `$F` is the program under test and `$O` another flock(1): the
 * system's if ours is tested, and ours if the system's is. The working
 * directory is new and empty.
 */

/** One script. */
export interface FlockCase {
  name: string;
  script: string;
  /** Exit code; 0 unless set. */
  code?: number;
  /** Standard output. */
  out?: string;
  /** Standard error without its last line break. */
  err?: string;
  /** Why flock(1) does another thing, as docs/flock.md has it. */
  differs?: string;
}

const TRY = "Try 'flock --help' for more information.";
const WORDING = "the words are those of util-linux 2.43";
const FD_OPTION = "`--fd` came with util-linux 2.43";
const FCNTL = "`--fcntl`, `--start` and `--length` came with util-linux 2.42";
const TIMEOUT_CHECK =
  "a negative or infinite timeout is a usage error (64) and not a failing timer (71)";
const SIGNALS = "signals are passed on to the command, and its end is awaited";
const OPTION_NAMES = "`--nonblock` is a name of its own, as in the manual page";
const OWN_TEXT = "help and version are holdfast's own";

/** Makes the script's own descriptor 8 hold an exclusive lock on `l`. */
const HELD = "exec 8>l; $O 8; ";
const HELD_SHARED = "exec 8>l; $O -s 8; ";

/** Prints how many lines of its input match a shell pattern. */
const count = (pattern: string) =>
  ' { n=0; while IFS= read -r line; do case "$line" in ' +
  `${pattern}) n=$((n + 1));; esac; done; echo $n; }`;

export const FLOCK_CASES: readonly FlockCase[] = [
  // Forms.
  { name: "file and command", script: "$F l echo hi", out: "hi\n" },
  {
    name: "the lock file is made, empty",
    script: "$F l true; stat -c %F-%s l",
    out: "regular empty file-0\n",
  },
  {
    name: "its mode is 0666 less the umask",
    script: "umask 027; $F l true; stat -c %a l",
    out: "640\n",
  },
  {
    name: "an existing file keeps its content",
    script: "echo data >l; $F l true; cat l",
    out: "data\n",
  },
  { name: "directory and command", script: "$F . echo hi", out: "hi\n" },
  {
    name: "a read-only file",
    script: "echo >l; chmod 400 l; $F l echo hi",
    out: "hi\n",
  },
  {
    name: "a symbolic link",
    script: "ln -s t l; $F l echo hi; ls t",
    out: "hi\nt\n",
  },
  { name: "a device", script: "$F /dev/null echo hi", out: "hi\n" },
  {
    name: "a FIFO that has a writer",
    script: "mkfifo p; exec 7<>p; $F p echo hi",
    out: "hi\n",
  },
  {
    name: "the command's arguments are its own",
    script: "$F l echo -n -x --help -- a",
    out: "-x --help -- a",
  },
  { name: "-- before the file", script: "$F -n -- l echo hi", out: "hi\n" },
  {
    name: "-- after the file is the command",
    script: "$F l -- echo",
    code: 69,
    err: "flock: failed to execute --: No such file or directory",
  },
  {
    name: "file and -c",
    script: "$F l -c 'echo $0; exit 4'",
    code: 4,
    out: "/bin/sh\n",
  },
  {
    name: "file and --command",
    script: "$F l --command 'echo hi'",
    out: "hi\n",
  },
  {
    name: "-c runs $SHELL",
    script: "printf '#!/bin/sh\\necho mine $1 $2\\n' >s; chmod +x s; " +
      "SHELL=$PWD/s $F l -c text",
    out: "mine -c text\n",
  },
  {
    name: "-c without $SHELL runs /bin/sh",
    script: "unset SHELL; $F l -c 'echo $0'",
    out: "/bin/sh\n",
  },
  {
    name: "-c with an empty $SHELL runs /bin/sh",
    script: "SHELL= $F l -c 'echo $0'",
    out: "/bin/sh\n",
  },
  { name: "a descriptor", script: "$F 9 9>l" },
  { name: "a descriptor open for reading", script: "$F 9 9</etc/passwd" },
  { name: "descriptor 0", script: "$F 0 <." },
  { name: "descriptor 3", script: "$F 3 3>l" },
  { name: "descriptor 5", script: "$F 5 5>l" },
  { name: "descriptor 10", script: "$F 10 10>l" },
  { name: "descriptor 12", script: "$F 12 12>l" },
  { name: "descriptor 21", script: "$F 21 21>l" },
  { name: "descriptor 200", script: "$F 200 200>l" },
  {
    name: "a descriptor keeps its lock",
    script: "exec 9>l; $F 9; $O -n l true || echo held",
    out: "held\n",
  },
  {
    name: "the usual subshell",
    script: "( $F -n 9 || exit 1; $O -n l true || echo held ) 9>l; " +
      "$O -n l echo free",
    out: "held\nfree\n",
  },
  {
    name: "the usual subshell, when it is taken",
    script: HELD + "( $F -n 9 || exit 3; echo in ) 9>l",
    code: 3,
  },
  {
    name: "a function under a lock",
    script: "f() { echo in; }; { $F -w 5 9; f; } 9>l",
    out: "in\n",
  },
  {
    name: "a script that locks itself",
    script: 'printf \'%s\\n\' \'[ "$L" = "$0" ] || ' +
      'exec env L="$0" $F -en "$0" sh "$0"\' \'echo once\' >s; sh ./s',
    out: "once\n",
  },
  {
    name: "--fd and a command",
    script: "$F --fd 9 echo hi 9>l",
    out: "hi\n",
    differs: FD_OPTION,
  },
  {
    name: "--fd and -c",
    script: "$F --fd 9 -c 'exit 6' 9>l",
    code: 6,
    differs: FD_OPTION,
  },
  {
    name: "--fd when it is taken",
    script: HELD + "$F -n --fd 9 echo hi 9>l",
    code: 1,
    differs: FD_OPTION,
  },
  {
    name: "--fd without a command",
    script: "$F --fd 9 9>l",
    code: 64,
    err: "flock: missing command",
    differs: FD_OPTION,
  },
  {
    name: "--fd that is none",
    script: "$F --fd x true",
    code: 64,
    err: "flock: invalid file descriptor: 'x'",
    differs: FD_OPTION,
  },
  // Modes.
  { name: "exclusive bars exclusive", script: HELD + "$F -n l true", code: 1 },
  { name: "exclusive bars shared", script: HELD + "$F -ns l true", code: 1 },
  {
    name: "shared bars exclusive",
    script: HELD_SHARED + "$F -n l true",
    code: 1,
  },
  {
    name: "shared admits shared",
    script: HELD_SHARED + "$F -ns l echo hi",
    out: "hi\n",
  },
  {
    name: "--shared",
    script: HELD_SHARED + "$F -n --shared l echo hi",
    out: "hi\n",
  },
  { name: "-e is exclusive", script: HELD_SHARED + "$F -ne l true", code: 1 },
  {
    name: "--exclusive",
    script: HELD_SHARED + "$F -n --exclusive l true",
    code: 1,
  },
  {
    name: "the last mode wins: -s -x",
    script: HELD_SHARED + "$F -nsx l true",
    code: 1,
  },
  {
    name: "the last mode wins: -x -s",
    script: HELD_SHARED + "$F -nxs l echo hi",
    out: "hi\n",
  },
  {
    name: "-u drops a descriptor's lock",
    script: "exec 9>l; $F 9; $F -u 9; $O -n l echo free",
    out: "free\n",
  },
  {
    name: "--unlock what the other locked",
    script: "exec 9>l; $O 9; $F --unlock 9; $O -n l echo free",
    out: "free\n",
  },
  {
    name: "-u with a file changes nothing",
    script: HELD + "$F -u l echo hi",
    out: "hi\n",
  },
  {
    name: "exclusive to shared",
    script: "exec 9>l; $F 9; $F -s 9; $O -ns l echo shared",
    out: "shared\n",
  },
  {
    name: "shared to exclusive",
    script: "exec 9>l; $F -s 9; $F -n 9; $O -ns l true || echo excluded",
    out: "excluded\n",
  },
  // Waiting.
  { name: "-n on a free lock", script: "$F -n l echo hi", out: "hi\n" },
  { name: "--nb", script: HELD + "$F --nb l true", code: 1 },
  { name: "--nonblocking", script: HELD + "$F --nonblocking l true", code: 1 },
  { name: "--nonblock", script: HELD + "$F --nonblock l true", code: 1 },
  { name: "-w on a free lock", script: "$F -w 5 l echo hi", out: "hi\n" },
  { name: "-w in vain", script: HELD + "$F -w 0.1 l true", code: 1 },
  { name: "-w 0 is -n", script: HELD + "$F -w 0 l true", code: 1 },
  { name: "-w .05", script: HELD + "$F -w .05 l true", code: 1 },
  { name: "-w 1e-2", script: HELD + "$F -w 1e-2 l true", code: 1 },
  { name: "--wait", script: HELD + "$F --wait 0.05 l true", code: 1 },
  { name: "--timeout=", script: HELD + "$F --timeout=0.05 l true", code: 1 },
  { name: "-w attached", script: HELD + "$F -w0.05 l true", code: 1 },
  { name: "-w on a descriptor", script: HELD + "$F -w 0.05 9 9>l", code: 1 },
  {
    name: "-w comes through",
    script: "mkfifo p; $O l sh -c 'echo >p; sleep 0.2' & read x <p; " +
      "$F -w 20 l echo hi; wait",
    out: "hi\n",
  },
  {
    name: "a wait without end comes through",
    script: "mkfifo p; $O l sh -c 'echo >p; sleep 0.2' & read x <p; " +
      "$F l echo hi; wait",
    out: "hi\n",
  },
  { name: "-E alone", script: "$F -E 77 l true" },
  { name: "-E", script: HELD + "$F -n -E 77 l true", code: 77 },
  { name: "-E 0", script: HELD + "$F -n -E 0 l true" },
  { name: "-E 255", script: HELD + "$F -nE255 l true", code: 255 },
  {
    name: "-E after a timeout",
    script: HELD + "$F -w 0.05 -E 9 l true",
    code: 9,
  },
  {
    name: "--conflict-exit-code",
    script: HELD + "$F -n --conflict-exit-code 12 l true",
    code: 12,
  },
  { name: "a prefix of it", script: HELD + "$F -n --conf 12 l true", code: 12 },
  { name: "-n and -w", script: HELD + "$F -n -w 60 l true", code: 1 },
  // The command and its lock.
  { name: "the command's exit code", script: "$F l sh -c 'exit 42'", code: 42 },
  {
    name: "the command's signal",
    script: "$F l sh -c 'kill -9 $$'",
    code: 137,
  },
  { name: "SIGTERM of the command", script: "$F l sh -c 'kill $$'", code: 143 },
  {
    name: "a command that isn't there",
    script: "$F l ./none",
    code: 69,
    err: "flock: failed to execute ./none: No such file or directory",
  },
  {
    name: "a command that may not be executed",
    script: "echo >c; $F l ./c",
    code: 69,
    err: "flock: failed to execute ./c: Permission denied",
  },
  {
    name: "an empty command",
    script: "$F l ''",
    code: 69,
    err: "flock: failed to execute : No such file or directory",
  },
  {
    name: "a script without #!",
    script: "echo 'echo ran $1' >c; chmod +x c; $F l ./c arg",
    out: "ran arg\n",
  },
  {
    name: "the command has the lock's descriptor",
    script: "$F l sh -c 'ls -l /proc/self/fd' |" + count("*/l"),
    out: "1\n",
  },
  {
    name: "with -o it has not",
    script: "$F -o l sh -c 'ls -l /proc/self/fd' |" + count("*/l"),
    out: "0\n",
  },
  {
    name: "the lock is held while the command runs",
    script: "$F l $O -n l true || echo held",
    out: "held\n",
  },
  {
    name: "with -o too",
    script: "$F -o l $O -n l true || echo held",
    out: "held\n",
  },
  { name: "--close", script: "$F --close l $O -n l true", code: 1 },
  {
    name: "the lock ends with the command",
    script: "$F l true; $O -n l echo hi",
    out: "hi\n",
  },
  {
    name: "what the command leaves behind keeps the lock",
    script: "mkfifo p; $F l sh -c 'cat p >/dev/null &'; " +
      "$O -n l true || echo held; echo >p; $O l echo free",
    out: "held\nfree\n",
  },
  {
    name: "with -o it doesn't",
    script: "mkfifo p; $F -o l sh -c 'cat p >/dev/null &'; " +
      "$O -n l echo free; echo >p",
    out: "free\n",
  },
  { name: "-F", script: "$F -F l sh -c 'exit 7'", code: 7 },
  {
    name: "-F keeps the process id",
    script:
      "sh -c 'echo $$; exec $F -F l sh -c \"echo \\$\\$\"' | uniq | wc -l",
    out: "1\n",
  },
  {
    name: "--no-fork holds the lock",
    script: "$F --no-fork l $O -n l true || echo held",
    out: "held\n",
  },
  {
    name: "-F and a command that isn't there",
    script: "$F -F l ./none",
    code: 69,
    err: "flock: failed to execute ./none: No such file or directory",
  },
  {
    name: "-F and its signal",
    // bash says on its own stderr that its child was killed.
    script: "exec 2>/dev/null; $F -F l sh -c 'kill -9 $$'; exit $?",
    code: 137,
  },
  {
    name: "stdin goes to the command",
    script: "echo hi | $F l cat",
    out: "hi\n",
  },
  {
    name: "the environment goes to the command",
    script: "A='b c' $F l sh -c 'echo \"$A\"'",
    out: "b c\n",
  },
  {
    name: "other descriptors go to the command",
    script: "exec 7<<<hi; $F l cat <&7; $F l sh -c 'cat <&6' 6<<<there",
    out: "hi\nthere\n",
  },
  {
    name: "nested locks",
    script: "$F a $F b $F c echo hi",
    out: "hi\n",
  },
  {
    name: "a signal for the program",
    script: '$F l sh -c \'trap "echo got; exit 3" TERM; kill $PPID; ' +
      "while :; do sleep 0.01; done'",
    code: 3,
    out: "got\n",
    differs: SIGNALS,
  },
  // --verbose.
  {
    name: "--verbose",
    script: "$F --verbose l echo hi",
    out: "flock: getting lock took N seconds\nflock: executing echo\nhi\n",
  },
  {
    name: "--verbose on a descriptor",
    script: "$F --verbose 9 9>l",
    out: "flock: getting lock took N seconds\n",
  },
  {
    name: "--verbose -u",
    script: "$F --verbose -u 9 9>l",
    out: "flock: getting lock took N seconds\n",
  },
  {
    name: "--verbose -n in vain",
    script: HELD + "$F --verbose -n l true",
    code: 1,
    err: "flock: failed to get lock",
  },
  {
    name: "--verbose -w in vain",
    script: HELD + "$F --verbose -w 0.05 l true",
    code: 1,
    err: "flock: timeout while waiting to get lock",
  },
  {
    name: "a prefix of --verbose",
    script: HELD + "$F --verb -n l true",
    code: 1,
    err: "flock: failed to get lock",
  },
  // Mistakes.
  {
    name: "no arguments",
    script: "$F",
    code: 64,
    err: `flock: not enough arguments\n${TRY}`,
  },
  {
    name: "no operands",
    script: "$F -n",
    code: 64,
    err: "flock: missing file descriptor, file or directory",
    differs: WORDING,
  },
  {
    name: "an unknown long option",
    script: "$F --bogus l true",
    code: 64,
    err: `flock: unrecognized option '--bogus'\n${TRY}`,
  },
  {
    name: "an unknown short option",
    script: "$F -Z l true",
    code: 64,
    err: `flock: invalid option -- 'Z'\n${TRY}`,
  },
  {
    name: "-c before the file",
    script: "$F -c true l",
    code: 64,
    err: `flock: invalid option -- 'c'\n${TRY}`,
  },
  {
    name: "a missing value of a short option",
    script: "$F -w",
    code: 64,
    err: `flock: option requires an argument -- 'w'\n${TRY}`,
  },
  {
    name: "a missing value of a long option",
    script: "$F --timeout",
    code: 64,
    err: `flock: option '--timeout' requires an argument\n${TRY}`,
  },
  {
    name: "a value too many",
    script: "$F --verbose=3 l true",
    code: 64,
    err: `flock: option '--verbose' doesn't allow an argument\n${TRY}`,
  },
  {
    name: "an ambiguous prefix",
    script: "$F --no l true",
    code: 64,
    err: "flock: option '--no' is ambiguous; possibilities: " +
      `'--nonblocking' '--nonblock' '--no-fork'\n${TRY}`,
    differs: OPTION_NAMES,
  },
  {
    name: "a timeout that is none",
    script: "$F -w abc l true",
    code: 64,
    err: "flock: invalid timeout: 'abc'",
    differs: WORDING,
  },
  {
    name: "an empty timeout",
    script: "$F -w '' l true",
    code: 64,
    err: "flock: invalid timeout: ''",
    differs: WORDING,
  },
  {
    name: "a negative timeout",
    script: "$F -w -1 l true",
    code: 64,
    err: "flock: invalid timeout: '-1'",
    differs: TIMEOUT_CHECK,
  },
  {
    name: "an infinite timeout",
    script: "$F -w inf l true",
    code: 64,
    err: "flock: invalid timeout: 'inf'",
    differs: TIMEOUT_CHECK,
  },
  {
    name: "a timeout longer than time",
    script: "$F -w 1e30 l true",
    code: 71,
    err: "flock: cannot set up timer: Invalid argument",
  },
  {
    name: "a timeout of some centuries",
    script: "$F -w 9223372036 l echo hi",
    out: "hi\n",
  },
  {
    name: "a timeout in hexadecimal",
    script: HELD + "$F -w 0x.1p-1 l true",
    code: 1,
  },
  {
    name: "an exit code that is none",
    script: "$F -E abc l true",
    code: 64,
    err: "flock: invalid exit code (allowed values: 0-255): 'abc'",
    differs: WORDING,
  },
  {
    name: "an exit code beyond 255",
    script: "$F -E 256 l true",
    code: 64,
    err: "flock: invalid exit code (allowed values: 0-255): '256': " +
      "Numerical result out of range",
    differs: WORDING,
  },
  {
    name: "a negative exit code",
    script: "$F -E -1 l true",
    code: 64,
    err: "flock: invalid exit code (allowed values: 0-255): '-1': " +
      "Numerical result out of range",
    differs: WORDING,
  },
  {
    name: "a descriptor that is none",
    script: "$F abc",
    code: 64,
    err: "flock: invalid file descriptor: 'abc'",
    differs: WORDING,
  },
  {
    name: "a descriptor that isn't open",
    script: "$F 9",
    code: 65,
    err: "flock: 9: Bad file descriptor",
  },
  {
    name: "a low descriptor that isn't open",
    script: "$F 5 5>&-",
    code: 65,
    err: "flock: 5: Bad file descriptor",
  },
  {
    name: "a descriptor beyond all",
    script: "$F 2147483648",
    code: 64,
    err: "flock: invalid file descriptor: '2147483648': " +
      "Numerical result out of range",
    differs: WORDING,
  },
  {
    name: "a negative descriptor",
    script: "$F -- -1",
    code: 65,
    err: "flock: -1: Bad file descriptor",
  },
  {
    name: "-c without a text",
    script: "$F l -c",
    code: 64,
    err: "flock: -c requires exactly one command argument",
  },
  {
    name: "-c and more",
    script: "$F l -c a b",
    code: 64,
    err: "flock: -c requires exactly one command argument",
  },
  {
    name: "--command and more",
    script: "$F l --command a b",
    code: 64,
    err: "flock: --command requires exactly one command argument",
  },
  {
    name: "-F and -o",
    script: "$F -F -o l true",
    code: 64,
    err: "flock: the --no-fork and --close options are incompatible",
  },
  {
    name: "a missing directory",
    script: "$F d/l true",
    code: 66,
    err: "flock: cannot open lock file d/l: No such file or directory",
  },
  {
    name: "an empty path",
    script: "$F '' true",
    code: 66,
    err: "flock: cannot open lock file : No such file or directory",
  },
  {
    name: "a path through a file",
    script: "echo >d; $F d/l true",
    code: 66,
    err: "flock: cannot open lock file d/l: Not a directory",
  },
  {
    name: "a loop of symbolic links",
    script: "ln -s l l; $F l true",
    code: 66,
    err: "flock: cannot open lock file l: Too many levels of symbolic links",
  },
  // Record locks.
  {
    name: "--fcntl",
    script: "$F --fcntl l echo hi",
    out: "hi\n",
    differs: FCNTL,
  },
  {
    name: "--fcntl bars --fcntl",
    script: "exec 8>l; $F --fcntl 8; $F -n --fcntl l true",
    code: 1,
    differs: FCNTL,
  },
  {
    name: "--fcntl and flock don't meet",
    script: HELD + "$F -n --fcntl l echo hi",
    out: "hi\n",
    differs: FCNTL,
  },
  {
    name: "--start and --length imply --fcntl",
    script: "$F --start 4K --length 16 l cat /proc/locks |" +
      count("*OFDLCK*' 4096 4111'"),
    out: "1\n",
    differs: FCNTL,
  },
  {
    name: "ranges apart don't meet",
    script: "exec 8>l; $F --start 0 --length 10 8; " +
      "$F -n --start 10 --length 10 l echo hi",
    out: "hi\n",
    differs: FCNTL,
  },
  {
    name: "ranges that overlap do",
    script: "exec 8>l; $F --start 0 --length 11 8; " +
      "$F -n --start 10 --length 10 l echo hi",
    code: 1,
    differs: FCNTL,
  },
  {
    name: "--fcntl -s shares",
    script: "exec 8<>l; $F -s --fcntl 8; $F -ns --fcntl l echo hi",
    out: "hi\n",
    differs: FCNTL,
  },
  {
    name: "--fcntl -u",
    script: "exec 8>l; $F --fcntl 8; $F -u --fcntl 8; $F -n --fcntl l echo hi",
    out: "hi\n",
    differs: FCNTL,
  },
  {
    name: "--fcntl -w in vain",
    script: "exec 8>l; $F --fcntl 8; $F -w 0.05 --fcntl l true",
    code: 1,
    differs: FCNTL,
  },
  {
    name: "a start that is none",
    script: "$F --start x l true",
    code: 64,
    err: "flock: invalid as start offset: 'x': Invalid argument",
    differs: FCNTL,
  },
  {
    name: "a length that is none",
    script: "$F --length 1Q l true",
    code: 64,
    err: "flock: invalid as length of lock range: '1Q': Invalid argument",
    differs: FCNTL,
  },
  {
    name: "a start in hexadecimal, and one in octal",
    script: "$F --start 0x10 --length 010 l cat /proc/locks |" +
      count("*OFDLCK*' 16 23'"),
    out: "1\n",
    differs: FCNTL,
  },
  {
    name: "a start beyond every file",
    script: "$F --start 8E l true",
    code: 65,
    err: "flock: l: Invalid argument",
    differs: FCNTL,
  },
  {
    name: "a length beyond every file",
    script: "$F --length 8E l true",
    code: 65,
    err: "flock: l: Invalid argument",
    differs: FCNTL,
  },
  {
    name: "a start beyond 64 bits",
    script: "$F --start 16E l true",
    code: 64,
    err: "flock: invalid as start offset: '16E': " +
      "Numerical result out of range",
    differs: FCNTL,
  },
  {
    name: "a length beyond 64 bits",
    script: "$F --length 18446744073709551616 l true",
    code: 64,
    err: "flock: invalid as length of lock range: '18446744073709551616': " +
      "Numerical result out of range",
    differs: FCNTL,
  },
  {
    name: "--fcntl of a directory",
    script: "$F --fcntl . true",
    code: 65,
    err: "flock: .: Bad file descriptor",
    differs: FCNTL,
  },
  {
    name: "--version",
    script: "$F --version | cut -d' ' -f1-3",
    out: "flock from holdfast\n",
    differs: OWN_TEXT,
  },
  {
    name: "--help",
    script: "$F --help | head -1 | cut -d' ' -f1-3",
    out: "Usage: holdfast flock\n",
    differs: OWN_TEXT,
  },
];
