use super::*;

fn at(folder: &Path) -> Generations {
    Generations::Folder { root: folder.to_owned(), options: String::new() }
}

#[tokio::test]
async fn the_pointer_says_which_folder_is_used_and_the_others_are_swept() {
    let folder = tempfile::tempdir().unwrap();
    let generations = at(&folder.path().join("graph"));
    assert_eq!(generations.current().await.unwrap(), 1, "of a new base");
    for number in ["1", "2", "3"] {
        fs::create_dir_all(folder.path().join("graph").join(number).join("wal")).unwrap();
    }
    fs::create_dir_all(folder.path().join("graph/lost+found")).unwrap();
    generations.point_to(2).await.unwrap();
    assert_eq!(generations.current().await.unwrap(), 2);
    generations.sweep(2).await.unwrap();
    let mut left = names(&folder.path().join("graph")).unwrap();
    left.sort();
    assert_eq!(left, ["2", "current", "lost+found"], "what is not ours stays");
    fs::write(folder.path().join("graph/current"), "two").unwrap();
    assert!(generations.current().await.is_err());
}

#[tokio::test]
async fn a_store_in_the_folder_itself_is_generation_0_and_can_be_removed() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["wal", "manifest", "1.set-aside-1"] {
        fs::create_dir_all(folder.path().join(name)).unwrap();
    }
    fs::write(folder.path().join("LOCK"), "7").unwrap();
    let generations = at(folder.path());
    assert_eq!(generations.current().await.unwrap(), 0);
    assert_eq!(generations.folder(0).as_deref(), Some(folder.path()));
    generations.point_to(1).await.unwrap();
    fs::create_dir_all(folder.path().join("1")).unwrap();
    generations.sweep(1).await.unwrap();
    let mut left = names(folder.path()).unwrap();
    left.sort();
    assert_eq!(left, ["1", "1.set-aside-1", "current"]);
}

#[tokio::test]
async fn on_a_server_a_generation_is_a_database() {
    let server = graph::connect("mem://").await.unwrap();
    let server = pointer_database(&server, "mem://").await.unwrap();
    let tenure = Tenure::ALONE;
    let generations = Generations::Databases { url: "mem://".to_owned(), server, tenure };
    assert_eq!(generations.current().await.unwrap(), 1);
    let first = generations.open(1).await.unwrap();
    let next = generations.begin(2).await.unwrap();
    first.db.query("CREATE fault_kind:a").await.unwrap().check().unwrap();
    let hash = next.content_hash().await.unwrap();
    assert_ne!(first.content_hash().await.unwrap(), hash, "they have rows of their own");
    generations.point_to(2).await.unwrap();
    assert_eq!(generations.current().await.unwrap(), 2);
    assert_eq!(generations.existing().await.unwrap(), [1, 2]);
    generations.sweep(2).await.unwrap();
    assert_eq!(generations.existing().await.unwrap(), [2]);
    assert_eq!(next.content_hash().await.unwrap(), hash);
    let emptied = generations.begin(2).await.unwrap();
    assert_eq!(emptied.content_hash().await.unwrap(), hash);
}
