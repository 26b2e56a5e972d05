import { jsonString } from './json-values.ts';
import type { DicomJson } from './study-source.ts';

/**
 * Prelim as a device: DeviceUID (0018,1002) of every object it writes. One for all installations, for it says "a result of Prelim": such
 * objects come back as instances of the study they belong to, and must not start an analysis, here or in a second Prelim at the same PACS.
 * Made once from a UUID (PS3.5 B.2).
 */
export const PRELIM_DEVICE_UID = '2.25.97433020723135729367869426994485214610';
export const PRELIM_MANUFACTURER = 'Prelim';
export const PRELIM_MODEL_NAME = 'Prelim imaging AI results';

const TAG = { manufacturer: '00080070', model: '00081090', device: '00181002' } as const;

/**
 * Did Prelim write this instance? Asked of an instance's metadata. A PACS that leaves DeviceUID out of its metadata mostly keeps
 * manufacturer and model name, so either says so.
 */
function isOwnObject(instance: DicomJson): boolean {
  return (
    jsonString(instance, TAG.device) === PRELIM_DEVICE_UID ||
    (jsonString(instance, TAG.manufacturer) === PRELIM_MANUFACTURER &&
      jsonString(instance, TAG.model) === PRELIM_MODEL_NAME)
  );
}

/** The instances that are a study's own: what Prelim made of them left out. */
export const withoutOwnObjects = (instances: readonly DicomJson[]): DicomJson[] =>
  instances.filter((instance) => !isOwnObject(instance));
