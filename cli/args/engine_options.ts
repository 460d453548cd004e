import type { CommandSpec, OptionSpec } from "./spec.ts";

/** How the server of a URL is reached: of every command that takes URLs. */
export const ENGINE_OPTIONS: readonly OptionSpec[] = [
  {
    long: "cacert",
    value: "FILE",
    help: "with a URL: trust the certificates in this file; " +
      "ETCDCTL_CACERT or PGSSLROOTCERT unless given",
    complete: "file",
  },
  {
    long: "cert",
    value: "FILE",
    needs: ["key"],
    help: "with a URL: show this certificate to the server; ETCDCTL_CERT or " +
      "PGSSLCERT unless given",
    complete: "file",
  },
  {
    long: "key",
    value: "FILE",
    needs: ["cert"],
    help: "with a URL: the key of that certificate; ETCDCTL_KEY or PGSSLKEY " +
      "unless given",
    complete: "file",
  },
  {
    long: "password-file",
    value: "FILE",
    help:
      "with a URL: log in by the password in this file, which nobody else " +
      "may read; ETCDCTL_PASSWORD, PGPASSWORD or PGPASSFILE unless given",
    complete: "file",
  },
];

/** What the server of a URL can bring about: of every command that asks it. */
export const ENGINE_EXIT_CODES: CommandSpec["exitCodes"] = [
  ["69", "with a URL: its server can't be reached or used"],
  ["77", "with a URL: its server refuses, or Deno lacks a permission"],
];
