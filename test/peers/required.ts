import { describe, it } from 'vitest';

/**
 * A suite that needs another program. Where that is missing the suite is skipped under a title that says so; with
 * PRELIM_TEST_PEERS=required (where all peers are installed) a missing one is a failure.
 */
export function describeWithPeer(title: string, missing: string | null, body: () => void): void {
  if (missing === null) describe(title, body);
  else if (process.env['PRELIM_TEST_PEERS'] !== 'required') describe.skip(`${title} (${missing})`, body);
  else
    describe(title, () => {
      it('finds its peer', () => {
        throw new Error(`${missing}, and PRELIM_TEST_PEERS=required`);
      });
    });
}
