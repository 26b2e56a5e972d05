import { chmod, mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/**
 * A new folder for a server's data. `mkdtemp` shuts it for others; run as root, the embedded PostgreSQL works under another account, and would
 * have to go elsewhere with its data, where nobody tidies up after the run.
 */
export async function benchFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'prelim-bench-'));
  await chmod(folder, 0o755);
  return folder;
}
