/**
 * Elements outside the profile's table that hold text or bytes and are kept all the same, because they describe the image or the device type and
 * nothing else. Every other text and byte element is removed: a list of what is good ages better than a list of what is bad.
 */
export const KEPT_TEXTS: ReadonlySet<number> = new Set([
  0x00080070, // Manufacturer
  0x00081090, // ManufacturerModelName
  0x00181020, // SoftwareVersions
  0x00080100, // CodeValue; see `publicCode`
  0x00080102, // CodingSchemeDesignator
  0x00080103, // CodingSchemeVersion
  0x00080104, // CodeMeaning
  0x00180024, // SequenceName
  0x00189005, // PulseSequenceName
  0x00180031, // Radiopharmaceutical
  0x00180085, // ImagedNucleus
  0x00181160, // FilterType
  0x00181210, // ConvolutionKernel
  0x00181250, // ReceiveCoilName
  0x00181251, // TransmitCoilName
  0x00201040, // PositionReferenceIndicator
  0x00209056, // StackID
  0x00209421, // DimensionDescriptionLabel
  0x00281054, // RescaleType
  0x00281055, // WindowCenterWidthExplanation
  0x00283003, // LUTExplanation
  0x00409210, // LUTLabel
  0x00541101, // AttenuationCorrectionMethod
  0x00541103, // ReconstructionMethod
  0x00541105, // ScatterCorrectionMethod
  0x00660031, // AlgorithmVersion
  0x00660036, // AlgorithmName
]);

/** Look-up tables, colour profile, offsets of frames. */
export const KEPT_BYTES: ReadonlySet<number> = new Set([
  0x00281101, 0x00281102, 0x00281103, 0x00281201, 0x00281202, 0x00281203, 0x00281204, 0x00281221, 0x00281222,
  0x00281223, 0x00282000, 0x00283002, 0x00283006, 0x00409212, 0x7fe00001, 0x7fe00002, 0x7fe00003,
]);

/** Texts that the object must have (type 1 or 2) and nobody needs: a dummy stands there instead. */
export const DUMMY_TEXTS: ReadonlySet<number> = new Set([
  0x00620005, // SegmentLabel
  0x00620009, // SegmentAlgorithmName
  0x00620020, // TrackingID
  0x00700081, // ContentDescription
]);

/** Removed although the table does not name them, or leaves the choice: of type 3 in every object that has them. */
export const REMOVED: ReadonlySet<number> = new Set([
  0x00080012, // InstanceCreationDate
  0x00080013, // InstanceCreationTime
  0x00100022, // TypeOfPatientID
  0x00100024, // IssuerOfPatientIDQualifiersSequence
  0x00080051, // IssuerOfAccessionNumberSequence
  0x0018a001, // ContributingEquipmentSequence: names, institutions, addresses
  0x00120063, // DeidentificationMethod: written anew
]);

/** Coding schemes of everybody (PS3.16 8-1). A code of any other is the site's own: its value tells the site, its meaning may tell more. */
const PUBLIC_SCHEMES: ReadonlySet<string> = new Set([
  ...[
    'DCM',
    'SCT',
    'SRT',
    'SNM3',
    '99SDM',
    'LN',
    'UCUM',
    'RADLEX',
    'RADELEMENT',
    'FMA',
    'UMLS',
    'MDNS',
    'ISO639_1',
  ],
  ...[
    'I9C',
    'I10',
    'I10P',
    'C4',
    'ISO3166_1',
    'NCIt',
    'NEU',
    'MA',
    'MSH',
    'ITIS_TSN',
    'PUBCHEM_CID',
    'BI',
    'BARI',
  ],
]);

/** Is it an item of a code sequence whose code stays? True for items that are no codes. */
export function publicCode(schemes: readonly string[]): boolean {
  return schemes.every((scheme) => PUBLIC_SCHEMES.has(scheme));
}

/**
 * Private elements known to hold numbers of the acquisition only (PS3.15 E.3.10): creator, group, element, VR. Nothing that could be text is
 * among them.
 */
const SAFE_PRIVATE: readonly (readonly [string, number, number])[] = [
  ['Philips PET Private Group', 0x7053, 0x00],
  ['Philips PET Private Group', 0x7053, 0x09],
  ['Philips Imaging DD 001', 0x2001, 0x03],
  ['SIEMENS MR HEADER', 0x0019, 0x0c],
  ['SIEMENS MR HEADER', 0x0019, 0x0e],
  ['SIEMENS MR HEADER', 0x0019, 0x27],
  ['GEMS_PARM_01', 0x0043, 0x39],
  ['GEMS_ACQU_01', 0x0019, 0x23],
  ['GEMS_ACQU_01', 0x0019, 0xbb],
  ['GEMS_ACQU_01', 0x0019, 0xbc],
  ['GEMS_ACQU_01', 0x0019, 0xbd],
];

/** Is the private element one of the known numbers? `creator` is what reserves its block (PS3.5 7.8.1). */
export function isSafePrivate(tag: number, vr: string, creator: string | null): boolean {
  const [group, element] = [tag >>> 16, tag & 0xff];
  return (
    NUMBER_VRS.has(vr) &&
    SAFE_PRIVATE.some(([name, g, e]) => name === creator && g === group && e === element)
  );
}

/** VRs that can hold nothing but numbers. */
export const NUMBER_VRS: ReadonlySet<string> = new Set([
  ...['US', 'SS', 'UL', 'SL', 'FL', 'FD', 'SV', 'UV', 'AT', 'IS', 'DS'],
]);
