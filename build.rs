//! Compiles the API definition. Needs no `protoc`: protox reads the files, and
//! the descriptor set is written beside the code for reflection.

use std::path::PathBuf;
use std::{env, fs};

use prost::Message;

const SERVICES: [&str; 2] = ["ciba_gateway/v1/login_service.proto", "ciba_gateway/v1/shop_qr_service.proto"];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo:rerun-if-changed=proto");
    let descriptors = protox::compile(SERVICES, ["proto"])?;
    let out_dir = PathBuf::from(env::var("OUT_DIR")?);
    fs::write(out_dir.join("ciba_gateway.v1.bin"), descriptors.encode_to_vec())?;
    tonic_prost_build::configure().compile_fds(descriptors)?;
    Ok(())
}
