import type { Grid } from './tubes.ts';

/** A head: skin, skull, brain with ventricles. For studies that a chest model must refuse. `z` 0 is the middle. */
export function paintHead(z: number, grid: Grid, hu: Float32Array): void {
  for (let row = 0; row < grid.rows; row += 1) {
    const y = grid.y0 + row * grid.rowMm;
    for (let column = 0; column < grid.columns; column += 1) {
      const x = grid.x0 + column * grid.columnMm;
      hu[row * grid.columns + column] = tissue(x, y, z);
    }
  }
}

function tissue(x: number, y: number, z: number): number {
  const radius2 = (x / 74) ** 2 + (y / 92) ** 2 + (z / 95) ** 2;
  if (radius2 > 1.12) return -1000;
  if (radius2 > 1) return 20;
  if (radius2 > 0.84) return 900;
  const ventricle = ((Math.abs(x) - 12) / 8) ** 2 + (y / 30) ** 2 + (z / 18) ** 2;
  if (ventricle < 1) return 6;
  return radius2 > 0.68 ? 38 : 29;
}
