import { assertEquals } from "@std/assert";
import { parseSmbShares } from "../../lib/proc/smb_shares.ts";

Deno.test("parseSmbShares: the directories of shares, and of nothing else", () => {
  assertEquals(
    parseSmbShares(`
# a comment
[global]
   path = /never
[homes]
   browseable = no
[data]
   Path = /srv/data/
; path = /commented
[more]
   directory="/srv/with space"
[users]
   path = /srv/users/%U/files
[printers]
   path = /var/spool/samba
[long]
   path = /srv/\\
long
[relative]
   path = nowhere
`),
    ["/srv/data", "/srv/with space", "/srv/users", "/srv/ long"],
  );
  assertEquals(parseSmbShares(""), []);
  assertEquals(parseSmbShares("[torn\npath=/x\n]"), []);
});
