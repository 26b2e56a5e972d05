import { cutText, dcm } from '../dicom-code.ts';
import type { Algorithm } from '../result-object.ts';
import { type ContentItem, code, text, uidref } from './content-item.ts';

/** TID 1002 with TID 1004: it was a device that observed, namely this version of this model. */
export function deviceObserver(algorithm: Algorithm): ContentItem[] {
  return [
    code('HAS OBS CONTEXT', dcm('121005', 'Observer Type'), dcm('121007', 'Device')),
    uidref('HAS OBS CONTEXT', dcm('121012', 'Device Observer UID'), algorithm.deviceUid),
    text('HAS OBS CONTEXT', dcm('121013', 'Device Observer Name'), algorithm.name),
    text('HAS OBS CONTEXT', dcm('121014', 'Device Observer Manufacturer'), algorithm.manufacturer),
    text('HAS OBS CONTEXT', dcm('121015', 'Device Observer Model Name'), algorithm.model),
    text('HAS OBS CONTEXT', dcm('121016', 'Device Observer Serial Number'), cutText(algorithm.version, 64)),
  ];
}

/** TID 1204: what is written here is English; a Key Object Selection has no room for the country. */
export function english(country: 'with country' | 'alone'): ContentItem {
  return code(
    'HAS CONCEPT MOD',
    dcm('121049', 'Language of Content Item and Descendants'),
    { value: 'en', scheme: 'RFC5646', meaning: 'English' },
    country === 'with country' ? [UNITED_STATES] : [],
  );
}

const UNITED_STATES = code('HAS CONCEPT MOD', dcm('121046', 'Country of Language'), {
  value: 'US',
  scheme: 'ISO3166_1',
  meaning: 'United States',
});
