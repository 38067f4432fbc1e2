import { shortRun } from "./short-run.ts";

shortRun("hang", 8);
