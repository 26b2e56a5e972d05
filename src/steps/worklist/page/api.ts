import { askServer, refuseSignedOut } from '../../../browser/ask-server.ts';
import type { TabSession } from '../../../browser/tab-session.ts';
import type { WorklistRow } from '../worklist-row.ts';

export interface Rows {
  readonly rows: readonly WorklistRow[];
  /** There are older analyses that are not among them. */
  readonly more: boolean;
  /** Time of the server, ISO 8601. */
  readonly at: string;
}

/** Throws SignedOut when this person may not see the worklist (any more). */
export async function askRows(session: TabSession, signal: AbortSignal): Promise<Rows> {
  const response = await askServer(session, 'api/rows', { signal });
  await refuseSignedOut(response);
  if (!response.ok) throw new Error(`the server answered ${response.status}`);
  return (await response.json()) as Rows;
}
