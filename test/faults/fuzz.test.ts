import { shortRun } from "./short-run.ts";

shortRun("fuzz", 8000);
