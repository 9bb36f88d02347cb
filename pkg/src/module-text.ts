/**
 * The WASM core: packed with deflate, in Base64. The build puts it here.
 *
 * @internal
 */
export const MODULE_TEXT: string = '';
