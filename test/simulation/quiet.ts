import { silentLog } from "../../schema/kit/log.ts";

/** The log of everybody in every world: making one for each life took longer than some lives. */
export const log = silentLog();
