import { shortRun } from "./short-run.ts";

shortRun("daemon", 5);
