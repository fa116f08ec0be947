/** The `muster` command. */
process.stderr.write("muster: not there yet\n");
process.exitCode = 1;
