//! Loops that are compiled for the vector instructions of several generations of CPUs.

/// Defines a function whose body is compiled for AVX-512, for AVX2 and for the baseline. The widest version that the
/// machine supports runs. All versions do the same operations in the same order and give the same results.
macro_rules! vectorised {
    ($(#[$meta:meta])* fn $name:ident($($arg:ident: $type:ty),* $(,)?) $(-> $result:ty)? $body:block) => {
        $(#[$meta])*
        fn $name($($arg: $type),*) $(-> $result)? {
            #[inline(always)]
            fn plain($($arg: $type),*) $(-> $result)? $body

            #[cfg(target_arch = "x86_64")]
            {
                #[target_feature(enable = "avx512f,avx512vl,avx512bw,avx512dq")]
                fn avx512($($arg: $type),*) $(-> $result)? {
                    plain($($arg),*)
                }
                #[target_feature(enable = "avx2")]
                fn avx2($($arg: $type),*) $(-> $result)? {
                    plain($($arg),*)
                }
                let bytes_too = is_x86_feature_detected!("avx512bw") && is_x86_feature_detected!("avx512dq");
                if is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512vl") && bytes_too {
                    // SAFETY: the machine has just been found to have the features.
                    return unsafe { avx512($($arg),*) };
                }
                if is_x86_feature_detected!("avx2") {
                    // SAFETY: the machine has just been found to have the feature.
                    return unsafe { avx2($($arg),*) };
                }
            }
            plain($($arg),*)
        }
    };
}
