import { shortRun } from "./short-run.ts";

// Each kind of operation, on both VMs, and two rounds of the encrypted disk.
shortRun("chain", 22);
