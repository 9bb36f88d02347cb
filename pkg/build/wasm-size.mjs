/** Takes a WASM module apart: its sections, and where its code comes from. */

const SECTIONS = [
  'custom',
  'types',
  'imports',
  'functions',
  'tables',
  'memory',
  'globals',
  'exports',
  'start',
  'elements',
  'code',
  'data',
  'data count',
];

const HEADER_BYTES = 8;

/** Reads the numbers and texts of a module. */
class Reader {
  constructor(bytes, at = 0) {
    this.bytes = bytes;
    this.at = at;
  }

  byte() {
    this.at += 1;
    return this.bytes[this.at - 1];
  }

  number() {
    let value = 0;
    for (let scale = 1; ; scale *= 128) {
      const byte = this.byte();
      value += (byte & 127) * scale;
      if (byte < 128) {
        return value;
      }
    }
  }

  text() {
    const length = this.number();
    this.at += length;
    return this.bytes.toString('utf8', this.at - length, this.at);
  }

  limits() {
    const flags = this.number();
    this.number();
    if (flags & 1) {
      this.number();
    }
  }
}

/** The sections of a module, in their order. */
export function sections(module) {
  const reader = new Reader(module, HEADER_BYTES);
  const found = [];
  while (reader.at < module.length) {
    const id = reader.byte();
    const length = reader.number();
    const bytes = module.subarray(reader.at, reader.at + length);
    const name = id === 0 ? `custom: ${new Reader(bytes).text()}` : SECTIONS[id];
    found.push({ id, name, bytes });
    reader.at += length;
  }
  return found;
}

/** The bytes of a module's code by origin, the largest first. The module must contain function names. */
export function codeByOrigin(module) {
  const found = sections(module);
  const names = functionNames(found.find(({ name }) => name === 'custom: name').bytes);
  const imported = importedFunctions(found.find(({ name }) => name === 'imports').bytes);
  const code = new Reader(found.find(({ name }) => name === 'code').bytes);
  const origins = new Map();
  let total = 0;
  const count = code.number();
  for (let index = 0; index < count; index += 1) {
    const length = code.number();
    code.at += length;
    total += length;
    const origin = originOf(names.get(imported + index) ?? '');
    origins.set(origin, (origins.get(origin) ?? 0) + length);
  }
  return { total, origins: [...origins].sort(([, one], [, other]) => other - one) };
}

function importedFunctions(bytes) {
  const reader = new Reader(bytes);
  let functions = 0;
  for (let left = reader.number(); left > 0; left -= 1) {
    reader.text();
    reader.text();
    const kind = reader.byte();
    if (kind === 0) {
      functions += 1;
      reader.number();
    } else if (kind === 2) {
      reader.limits();
    } else {
      reader.byte();
      if (kind === 1) {
        reader.limits();
      } else {
        reader.byte();
      }
    }
  }
  return functions;
}

function functionNames(bytes) {
  const reader = new Reader(bytes);
  reader.text();
  const names = new Map();
  while (reader.at < bytes.length) {
    const kind = reader.byte();
    const end = reader.number() + reader.at;
    if (kind === 1) {
      for (let left = reader.number(); left > 0; left -= 1) {
        names.set(reader.number(), reader.text());
      }
    }
    reader.at = end;
  }
  return names;
}

/** The crate and the module of a function, by its name: `alloc::vec` for the functions of `alloc::vec::Vec`. */
function originOf(name) {
  const path = pathOf(name);
  if (path === undefined) {
    // Much of what only an exported function calls is inlined into it.
    return `called from outside: ${name.split('_')[0]}`;
  }
  const [crate, module] = path;
  return /^(tidegate_core|tidegate_wasm|core|alloc)$/.test(crate) ? `${crate}::${module}` : crate;
}

/** The first two parts of a mangled name: a crate and its module, or an item of the crate itself. */
function pathOf(name) {
  // In the older form a type's path is written with dots, as `_$LT$alloc..vec..Vec$LT$T$GT$$u20$as…`.
  const dotted = /^_ZN\d+_?\$LT\$(?:\$?[A-Za-z]+\d*\$)*([a-z_]+)\.\.([a-z_]+)/.exec(name);
  if (dotted !== null) {
    return dotted.slice(1);
  }
  const parts = /^_ZN/.test(name) ? name.slice(3) : /Cs[0-9A-Za-z]+_(\d.*)$/.exec(name)?.[1];
  if (parts === undefined) {
    return undefined;
  }
  const names = [];
  for (let rest = parts; names.length < 2; ) {
    const length = /^(\d+)_?/.exec(rest);
    if (length === null) {
      break;
    }
    names.push(rest.slice(length[0].length, length[0].length + Number(length[1])));
    rest = rest.slice(length[0].length + Number(length[1]));
  }
  return names.length > 0 ? [names[0], names[1] ?? ''] : undefined;
}
