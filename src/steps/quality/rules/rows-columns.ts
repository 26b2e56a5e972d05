import { jsonNumber } from '../../../dicom/json-values.ts';
import { type GateRule, inRange, rangeText, refuse } from '../gate-rule.ts';

/** Rows (0028,0010) and Columns (0028,0011): within the range, and the same in all images. */
export const rowsColumns: GateRule = (images, fits) => {
  const first = images[0];
  if (first === undefined || (fits.rows === undefined && fits.columns === undefined)) return null;
  const size = (of: typeof first) =>
    [jsonNumber(of, '00280010') ?? 0, jsonNumber(of, '00280011') ?? 0] as const;
  const [rows, columns] = size(first);
  for (const image of images) {
    const [ownRows, ownColumns] = size(image);
    if (ownRows !== rows || ownColumns !== columns)
      return refuse('rows-columns', 'images of different size', 'one size');
  }
  const misfit = !inRange(rows, fits.rows ?? {}) || !inRange(columns, fits.columns ?? {});
  if (!misfit) return null;
  const required = [
    ...(fits.rows ? [rangeText(fits.rows, 'rows')] : []),
    ...(fits.columns ? [rangeText(fits.columns, 'columns')] : []),
  ];
  return refuse('rows-columns', `${rows} rows and ${columns} columns`, required.join(' and '));
};
