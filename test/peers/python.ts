import { spawnSync } from 'node:child_process';

/** Debian's own Python, for which apt installs packages; another one earlier in the path would not have them. */
export const PYTHON = '/usr/bin/python3';

/** Why pydicom with numpy (apt python3-pydicom, which only recommends numpy, and python3-numpy) is not here, or null. */
export const pydicomMissing = (): string | null =>
  spawnSync(PYTHON, ['-c', 'import pydicom, numpy']).status === 0
    ? null
    : 'skipped: no python3-pydicom or no python3-numpy';
