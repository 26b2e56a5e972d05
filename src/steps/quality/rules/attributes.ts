import { jsonValues } from '../../../dicom/json-values.ts';
import { tagOfAttribute } from '../../../governance/image-attributes.ts';
import { type GateRule, missing } from '../gate-rule.ts';

/** Attributes without which this model's number means nothing: every image must have them, with a value (PS3.5 7.4.1). */
export const attributes: GateRule = (images, fits) => {
  const lacking = (fits.attributes ?? []).filter((name) => {
    const tag = tagOfAttribute(name);
    return tag !== null && images.some((image) => jsonValues(image, tag).length === 0);
  });
  if (lacking.length === 0) return null;
  return missing(fits, 'attributes', `no ${lacking.join(', ')}`, (fits.attributes ?? []).join(', '));
};
