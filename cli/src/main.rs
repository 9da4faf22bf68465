//! The program `gpu-recovery`.

fn main() -> std::process::ExitCode {
    gpu_recovery::main()
}
