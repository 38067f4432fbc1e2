import { shortRun } from "./short-run.ts";

// Each kind of operation, on both VMs, and a round of the encrypted disk.
shortRun("chain", 21);
