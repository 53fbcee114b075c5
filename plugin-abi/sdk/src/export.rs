//! The macro that turns a crate into a plugin.

/// Exports a [`Game`](crate::Game) as a plugin: the last line of `lib.rs` of a `cdylib`.
///
/// ```ignore
/// croupier_sdk::export!(Craps, name: "craps", manifest: "../plugin.toml");
/// ```
///
/// `manifest` is the path of `plugin.toml`, relative to the source file. It is embedded in the ELF section `.croupier`; the descriptor's version
/// is taken from it. That its `name` is the one given here and its `state_version` is the game's is checked when the crate is compiled.
///
/// One plugin per shared object: two crates that both say `export!` cannot be linked into one program.
#[macro_export]
macro_rules! export {
    ($game:ty, name: $name:literal, manifest: $manifest:expr $(,)?) => {
        const _: () = {
            use $crate::__private::{self as private, abi};

            const MANIFEST: &[u8] = include_bytes!($manifest);
            const VERSION: &[u8] = private::value(MANIFEST, "version");
            const STATE_VERSION: u32 = <$game as $crate::Game>::STATE_VERSION;
            assert!(
                private::same(private::value(MANIFEST, "name"), $name.as_bytes()),
                concat!("export! says name: ", $name, ", but ", $manifest, " has another `name`")
            );
            assert!(
                private::number(private::value(MANIFEST, "state_version")) == STATE_VERSION,
                concat!("`state_version` in ", $manifest, " is not the game's STATE_VERSION")
            );

            // Exported only so that no linker drops it; it is found by its section.
            #[used]
            #[unsafe(no_mangle)]
            #[unsafe(link_section = ".croupier")]
            pub static croupier_manifest_v1: [u8; MANIFEST.len()] = *include_bytes!($manifest);

            static VERSION_TEXT: [u8; VERSION.len() + 1] = private::c_text(VERSION);
            static DESCRIPTOR: abi::Descriptor =
                private::descriptor(concat!($name, "\0").as_bytes(), &VERSION_TEXT, STATE_VERSION);
            static VTABLE: abi::Vtable = private::vtable::<$game>();

            #[used]
            #[unsafe(no_mangle)]
            pub static croupier_plugin_v1: abi::Plugin = private::plugin(&DESCRIPTOR, &VTABLE);

            $crate::__export_layout!();
        };
    };
}

/// Exports the contract's `abi_stable` layout.
#[cfg(feature = "layout")]
#[doc(hidden)]
#[macro_export]
macro_rules! __export_layout {
    () => {
        #[used]
        #[unsafe(no_mangle)]
        pub static croupier_abi_layout_v1: abi::layout::LayoutExport = abi::layout::LayoutExport::THIS;
    };
}

/// Without the feature `layout` there is nothing to export.
#[cfg(not(feature = "layout"))]
#[doc(hidden)]
#[macro_export]
macro_rules! __export_layout {
    () => {};
}
