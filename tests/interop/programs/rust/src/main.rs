// SPDX-License-Identifier: Apache-2.0
use aws_config::imds::credentials::ImdsCredentialsProvider;
use aws_config::provider_config::ProviderConfig;
use aws_credential_types::provider::ProvideCredentials;

async fn fetch_twice() {
    let plain = aws_smithy_http_client::Builder::new().build_http();
    let configuration = ProviderConfig::without_region().with_http_client(plain);
    let provider = ImdsCredentialsProvider::builder().configure(&configuration).build();
    for fetch in 0..2 {
        let credentials = provider.provide_credentials().await.expect("credentials");
        println!("{}", credentials.access_key_id());
        if fetch == 0 {
            std::io::stdin().read_line(&mut String::new()).expect("a line");
        }
    }
}

fn main() {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("runtime").block_on(fetch_twice());
}
