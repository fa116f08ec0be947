export const pageCsp = "default-src 'none'";
export function renderDocs(document: unknown): string { return JSON.stringify(document); }
