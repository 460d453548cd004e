/**
 * Ties first one process and then another to its own death, with the link kept
 * open by a third one; says their process ids in that order, and sleeps.
 */
import { setDescriptorInheritable } from "../../lib/sys/process/descriptors.ts";
import { DeathLink } from "../../lib/sys/process/death_link.ts";
import { prepareCommand } from "../../lib/sys/process/exec.ts";

const sleep = () => prepareCommand(["sh", "-c", "exec sleep 1000 >&-"])();
const link = new DeathLink();
setDescriptorInheritable(link.readEnd, true, "pipe");
const keeper = sleep();
setDescriptorInheritable(link.readEnd, false, "pipe");
const [first, command] = [sleep(), sleep()];
link.tie(first);
link.tie(command);
console.log(`${first} ${command} ${keeper}`);
setInterval(() => {}, 1000);
