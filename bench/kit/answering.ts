/** The other end of `Part.ask`: a process that answers what it is asked, and ends when nobody is there to ask. */

export type Answers = Readonly<Record<string, (parameters: any) => unknown>>;

export function answer(answers: Answers): void {
  process.on("message", (message: { id: number; what: string; parameters: unknown }) => {
    void respond(answers, message);
  });
  process.once("disconnect", () => process.exit(0));
}

async function respond(
  answers: Answers,
  { id, what, parameters }: { id: number; what: string; parameters: unknown },
): Promise<void> {
  try {
    const act = answers[what];
    if (!act) throw new Error(`is asked ${what}, which it does not know`);
    process.send?.({ id, result: await act(parameters) });
  } catch (error) {
    process.send?.({ id, error: error instanceof Error ? (error.stack ?? error.message) : String(error) });
  }
}
