import { shortRun } from "./short-run.ts";

// Each kind of operation, on both VMs.
shortRun("chain", 20);
