//! Extism: a plugin compiled once and kept, called with bytes. It has wasmtime inside, of an older version, and a timeout of its own by epochs.

use std::path::Path;

use extism::{CompiledPlugin, Manifest, PluginBuilder, Wasm};

use crate::Fault;
use crate::call::Way;

pub(crate) struct Plugin {
    plugin: extism::Plugin,
}

impl Plugin {
    pub(crate) fn new(kernels: &Path) -> Result<Self, Fault> {
        let fault = |error: extism::Error| Fault::plain(format!("Extism cannot take the kernels: {error}"));
        let file = kernels.join("kernels-extism.wasm");
        let wasm = std::fs::read(&file)
            .map_err(|error| Fault::new(format!("{} cannot be read", file.display()), error))?;
        let manifest = Manifest::new([Wasm::data(wasm)]);
        let compiled = CompiledPlugin::new(PluginBuilder::new(manifest)).map_err(fault)?;
        Ok(Self { plugin: extism::Plugin::new_from_compiled(&compiled).map_err(fault)? })
    }
}

impl Way for Plugin {
    fn call(&mut self, request: &[u8], reply: &mut [u8]) -> Result<usize, Fault> {
        let fault = |error: extism::Error| Fault::plain(format!("an Extism call failed: {error}"));
        let output = self.plugin.call::<&[u8], &[u8]>("echo", request).map_err(fault)?;
        let into = reply.get_mut(..output.len()).ok_or_else(|| Fault::plain("no room for the reply"))?;
        into.copy_from_slice(output);
        Ok(output.len())
    }
}
