/** A DICOM UID as it may enter a path, a URL or a query: PS3.5 9.1, at most 64 digits and dots, no empty component. */
export function isUid(value: unknown): value is string {
  return typeof value === 'string' && value.length <= 64 && /^[0-9]+(\.[0-9]+)*$/.test(value);
}
